a = <<EOT
x
EOT
b = 1
c = "${foo(<<EOT
x ${y}
EOT
)}"
