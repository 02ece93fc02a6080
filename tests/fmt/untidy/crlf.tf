a=1
bbb=2 # x

b {
	c = [
1,
]
  d=<<E
  x
E
}
# end
