a = b
b = (foo(
  1
))
c = (a ?
  b :
c)
d = (a ?
b : c)
e = ([
  1,
])
