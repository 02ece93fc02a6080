a=b?c:d
b = b   ?   c   :   d
c=(b
?c
:d)
d = b?c?1:2:3
e=[b?"x":"y",c]
