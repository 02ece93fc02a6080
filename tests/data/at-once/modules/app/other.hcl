locals {
  x = lenght(var.name)
  y = upper(var.name, 2)
}
