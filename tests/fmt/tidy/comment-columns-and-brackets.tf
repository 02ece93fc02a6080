a = {       # a
  b = 1     # b
  cc = foo( # c
    1       # d
  )         # e
}           # f
g    = 1    # g
hhhh = []   # h
