variable "size" {
  type    = numbr
  default = 3
}
variable "port" {
  type    = number
  default = "eighty"
}
variable "flag" {
  defualt = true
}
locals {
  a = var.sise
  b = local.c.d
  d = module.app.urll
}
resource "local_file" "a" {
  filename = "a.txt"
  contents = "x"
  content  = local.nope
}
resource "local_file" "a" {
  filename = "b.txt"
}
resorce "x" "y" {}
