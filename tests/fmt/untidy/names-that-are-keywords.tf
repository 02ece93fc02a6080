a = b.c ["x"] [0]
a2 = [for k, v in {} : k]
a3 = [ for x in x.y[*].z : x ]
a4 = in
a5 = { in = 2, if = 3 }
for = 1
in = 2
null { true = false }
