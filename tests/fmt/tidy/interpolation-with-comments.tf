a = b /* c */
b = /* c */ b
c = b # c

ddd = 1
e = foo( # c
1)
