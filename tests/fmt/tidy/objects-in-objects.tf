a = {
  b = {
    c = { d = 1 }
    eeeee = {
      f = [1, { g = 2 }]
    }
  }
  hhh = 1
}
b = { c = {
  d = 1 }
}
