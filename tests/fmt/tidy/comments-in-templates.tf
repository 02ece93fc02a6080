a = /* x */ b
b = "x ${/* y */ c /* z */} # text // text /* text */"
