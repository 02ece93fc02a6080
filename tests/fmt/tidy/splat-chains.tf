a = b[*].c[*].d.*.e
b = b.*.c[0]
c = b[*]
d = foo(b[*]...)
