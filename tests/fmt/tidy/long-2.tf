a {
  /* a
   b */ long_attribute_name = "é日本"
  x-y0                             = [/**/ for k, v in [1] : "" if !"क्षि"] // z
  type8                            = "${~"%%{x}"~}%{if - 1}  y %{endif}// "

  variable "l" {
    日本 = [for x in({ # c
      (x) = "é日本"
      "${a}-b" : foo,
      }) : "${type}${a.0.b~}%{if 名前}%{if 1e3}${
      a[*].b
      }%{else}%{for x in - 0.5~}// %{endfor}%{endif~}%{else}${/**/ "s"
      }%{~endif}" if[for k, v in [1] : "a b" if null

      * module.m["k"].v
      ]
    /* c */]
    default = merge("{", b, ("a b")) # c
    in4 = max(-1 && "${"a b"}${foo~}${~
      "x$"~}"

    )
    in = each.value


    depends_on = <<EOT
 ${"%%{x}"}${
  "👩‍👩‍👧 x"}
  ${~"s"}
   EOT
  // z
}
ignore_changes = ("🇩🇪🇫🇷") # c é
}
/* a
 b */
variable "l" {
  type = set(any)
  ccc4 = été
  x-y  = null # c
  resource {}
  dynamic { type = merge(1e3 /**/, "%%{x}" /**/, 1e3) }
}
bb8        = "s" # c
depends_on = {}
