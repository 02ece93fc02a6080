a = b.c.d
b = b.c
c = b[0]
d = b[0]
e = b["x"].y[1]
f = b[c.d].e
g = b.0.c
h = b.*.c
i = b[*].c
j = b[*].c
k = foo()[0].x
l = [1, 2][0]
m = { a = 1 }["a"]
n = (x)[0]
o = "x" [0]
