a = b
b = var.x[0].y
c = foo("${bar}")
d = "x"
e = "${b}x"
f = "x${b}"
g = "${a}${b}"
h = b
i = a + b
j = { x = 1 }
k = [1, 2]
l = ["${a}"]
m = { x = "${a}" }
n = foo("${a}")
o = a ? b : c
p = (a)
q = "${a}" == "${b}" # comparison
r = "%{if a}b%{endif}"
block {
  a = b
  nested { c = d }
}
