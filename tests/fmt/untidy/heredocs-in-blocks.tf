resource "a" "b" {
x=1
user_data=<<EOF
#!/bin/sh
  echo "${var.x}"   # not a comment
EOF
yy=2
nested {
text=<<-EOF
    indented
      %{ if var.x }more%{ endif }
  EOF
  after=1
}
}
