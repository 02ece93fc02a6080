a     = 1  # one
bbbbb = 22 // two
c     = 333 /* three */
dd    = "x" # four

e = 1    # alone
ffff = [ # opens
  1,     # first
  22222, // second
]        # closes
