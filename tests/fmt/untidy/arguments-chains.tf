a = 1
long_name = 2
# a comment ends the columns
b = 3
longer_name = 4
c = [
  1,
]
d = 5
even_longer = 6
