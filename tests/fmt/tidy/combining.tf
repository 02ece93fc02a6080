a   = "é" # combining
bbb = "x" # plain
label "é" {}
