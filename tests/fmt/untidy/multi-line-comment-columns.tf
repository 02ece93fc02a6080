a = 1 /* one */
bbb = 2 /* two
lines */
c = 3 # three
/* x */ d = 4 # four
/* y
y */ e = 5 # five
ffff = 6 # six
