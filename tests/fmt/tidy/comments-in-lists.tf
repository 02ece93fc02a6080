a = [/* empty */]
b = [
  # nothing but this
]
c = [1, # one
  2, /* two */ 3
  # end
]
d = [
  1 # without comma
  , 2
  , 3
]
