a = 1 + /* plus */ 2
b = (1 + # first
  2      # second
* /* third */ 3)
c = !/* not */ true
d = -/* minus */ x
