a = {    # open
  x = 1, # one
  # alone
  yy             = 2 // two
  /* before */ z = 3 /* after */
} # end
b = {
  # nothing
}
c = { /* nothing */ }
