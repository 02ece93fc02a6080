# first
// second
/* third */
/* fourth
     stays
  as it is */
#no space
#
//
