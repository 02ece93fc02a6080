resource "a" "b" { # header
  x = 1 # x
  yyyy = 2 # y
  nested { # nested
    z = 1 # z
  } # end of nested
} # end
