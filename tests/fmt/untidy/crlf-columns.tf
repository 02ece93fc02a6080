a = 1 # x
bbbbbb = foo(<<E
x
E
, 2) # y
c = "${
d
}"
