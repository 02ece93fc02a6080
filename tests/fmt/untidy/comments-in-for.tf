a = [ # open
for x # variable
in y # collection
: x # value
if x > 1 # filter
]
b = {for k, v in x /* c */ : k => /* v */ v}
