a = max( # open
  1, # one
  2 /* two */ , // after
  # alone
  3
  # last
)
b = min(/* only */)
c = min(1/* x */,/* y */2)
