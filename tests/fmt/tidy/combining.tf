a   = "é"  # combining
bbb = "x"  # plain
été = "éé" # two
