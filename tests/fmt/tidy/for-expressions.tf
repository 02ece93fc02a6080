a = [for x in y : x]
b = [for x in [1, 2] : x]
c = [for x in y : x if x != 1]
d = { for k, v in x : k => v }
e = { for k, v in x : k => v... }
f = { for k, v in x : k => v... if v }
g = [for x in { a = 1 } : x]
h = [for in in in : in]
