a = {
  b   = 1,
  ccc = 2, # c
  d = {
    e = 1,
  }, # after d
  ffffff = 3
}
