resource "é" { # c
  日本0  = !!"👩‍👩‍👧 x"
  for3 = module.m["k"].v[in]
  bb   = if                                                      # c
  resource /* c */ {                                             # c
    日本8 = true % in["s"][0] < "%{for x in - 0.5~}  y %{endfor}x" # c
    ccc0 = {
    1 = 1e3, }

    depends_on = "x$"

  }
}
variable "é" {    # c
  dynamic "\té" { # c


    # c
  }
  /* y */
  a = 1e3
  locals { longer = { "${a}-b" = null, 1 : data.a.b[0].c,
  "k" = a[*].b /* c */, (x) = in /* c */, } }
}              # c
variable "é" { # c
  type = set(any)
  ccc1 = [for k, v in x-y :
  "$${x}"]

  ccc0 = {
    x-y = { for k, v in a[*].b :
    été => local.name... }
    "${a}-b" = foo

    /* a
   b */ "k" = /* a
   b */ [ // d  
    for x in [1] : "a b" if foo]

    (x) = {
      "k" = "s"
      1   = foo
      (x) = data.a.b[0].c,
    count : "क्षि" },
  }
  /* y */
  depends_on1 = ((a[*].b))
  ccc         = merge("${"🇩🇪🇫🇷"~}${foo~}"...)

}
// x
x-y3 = data.a.b[0].c
/* z */ 