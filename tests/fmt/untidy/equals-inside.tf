a = foo({ b = 1 })
ccccc = { d = 1 }
e = { f = 1, g = [
  1
] }
hhhhhh = x == y
iiiiiii = [for x in y : x == z]
