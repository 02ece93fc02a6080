a=<<EOT
x
  ${ y }
    z
EOT
b   =   <<-EOT
    x
      y ${z}
  EOT
c=[<<EOT
x
EOT
,1]
d=foo(<<EOT
x
EOT
,<<-EOT2
  y
  EOT2
)
