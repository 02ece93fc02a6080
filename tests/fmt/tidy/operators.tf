a = 1 + 2 - 3 * 4 / 5 % 6
b = a == b && c != d || e < f
c = a <= b || c >= d
d = !a
e = !a
f = !!a
g = -1
h = -1
i = a-1
j = a- - 1
k = a--1
l = -a-b
m = (-a)
n = [-1, -a]
o = { x = -1 }
p = a ? -1 : -b
q = a == -1
r = a && -b
s = foo(-1, -b)
t = a * -1
u = a > -1
v = a[-1]
w = -1
x = { for k, v in y : k => - v }
