a = "x${
  y
}z"
b = "x${foo(
  1,
  2
)}"
c = "x${[
  for x in y : x
]}"
