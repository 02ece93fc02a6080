a = merge(
{x=1},
  {
y=2
  },
        z
)
b = merge({
x = 1
}, {
y = 2
})
c = format("%s",
"x",
"y")
d = foo(bar(
1), [
2
])
