long_attribute_name4 = "👩‍👩‍👧 x"
é                    = "🇩🇪🇫🇷"

variable "é" /* a
   b */ { # c
  variable {
    long_attribute_name = { "${a}-b" = [for k, v in [1] /**/ :
      in(été) if(var.x)] /* c */
      "k" = "%{if true}${"%%{x}"}%{else}${~"a b"~}%{~endif}// ${type

      ~}"
      (var.a) = "s", x-y = "${aws_x.y.z /**/}%{for x in type~}%{if true}%{for x in type~}%{for x in true~}${- 0.5}%{endfor}%{endfor}%{else~} %{endif}%{endfor}}"
    }
  }
  health_check "l" {
    ccc = type
    /* a
 b */
  }                    # c
  x-y = /* a
   b */ { // d  
    for x in <<-EOT

	EOT
    : { for x in b + type /**/ : "x$" => true["👩‍👩‍👧 x"][*].y...
      } => merge((
  /* a
   b */ "क्षि")) }                                                                                                                                                                                       # c é
  type = "${[/* c */ for x in 1e3 : true if a]}%{if "%{if if}}%{endif} # no "}%{if - 1}$%{else~}// %{~endif}%{else~}%{for x in each.value~}%{if 1.5}{%{else~}%{if "क्षि"} %{endif~}%{endif~}%{endfor}%{endif~}" # c
  ccc4 = /* c */ for

  a "a b" "x-y" {}
} # c
dynamic "é" {
  locals "a b" {}

  x-y5 = [/**/ for k, v in [] : /* c */ (b
    ) if[each.value, /**/ "x$", /**/ "👩‍👩‍👧 x", /**/ "$${x}"

  ]]
}
/* y */
type0 = 1
