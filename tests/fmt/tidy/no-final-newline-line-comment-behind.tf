aaa = 1 # y
b   = 1 # x