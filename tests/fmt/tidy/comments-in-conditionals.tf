a = (x # condition
  ? 1  # yes
  : 2  # no
)
b = x ? /* a */ 1 : /* b */ 2
