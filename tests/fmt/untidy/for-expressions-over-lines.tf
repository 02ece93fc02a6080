a = [
for x in y:
x
if x
]
b = {
for k,v in {
c = 1
}:
k => {
d = v
}
}
c = [for x in y : {
z = x
}]
