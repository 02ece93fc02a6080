aaaaaaaa = 1
b = <<E
text
E
cccccccccccc = 2
d = 3
