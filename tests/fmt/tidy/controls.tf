a   = "" # c
bbb = "x"  # d
