a = <<EOT
%{for x in y~}
  ${x.name}=${x.value}
%{endfor~}
%{if z}a%{else}b%{endif}
EOT
b = <<EOT
${foo(
1
)}
EOT
c = 1
