variable {

  resource "é" "l" /* a
   b */ { type = a.*.c } # c
  for = {
    /**/ count = {
  } } // z
  a7 = [

    for k, v in x
    : { # c
      x-y : p::q::r(

        -1,
        # c
        if,
        # c
      var.x) /* c */
      ignore_changes = max(
        // d  
      "👩‍👩‍👧 x", foo)
    1 = null, } if "a b"

  ]


}

locals {
  日本                  = ""
  ignore_changes /**/ = "%%{x}" # c é
  /* y */
  // x
  health_check "a b" "\té" {


    ignore_changes = "$${x}" # c é


    count = { "${a}-b" = "%{for x in "x$"~} # no %{endfor}" // c
      1 = p::q::r("$${x}"), (x) = "%{if true}%{for x in null~}${1}%{endfor}%{else}%{for x in for~}%{if "क्षि"}  y %{else}${~
    local.name}%{endif~}%{endfor}%{endif~}${"s"}" <= !b }
    ccc2 = 名前[type].z // z
  }                   # c
  depends_on = data.a.b[0].c
}                       # c
in2         = aws_x.y.z # c
/* z */ é   = 1.5
depends_on4 = module.m["k"].v # c
