variable "secret" {
  type      = string
  sensitive = true
  default   = "canary-secret"
}
variable "v" { default = "2" }
resource "terraform_data" "a" {
  input = { name = "one", tags = ["x", "y", var.v], n = 3, keep = "same" }
}
resource "terraform_data" "b" {
  input = "${terraform_data.a.id}-suffix"
}
resource "terraform_data" "r" {
  input            = "r"
  triggers_replace = [var.v]
}
resource "terraform_data" "s" {
  input = { password = var.secret, user = "u" }
}
resource "terraform_data" "m" {
  input = "line1\nline ${var.v}\nline3\n"
}
resource "terraform_data" "j" {
  input = jsonencode({ a = 1, b = { c = var.v }, l = [1, 2] })
}
resource "terraform_data" "n" {
  for_each = var.v == "2" ? toset(["p q", "z"]) : toset(["gone", "z"])
  input    = { each = each.key }
}
resource "terraform_data" "c" {
  count = var.v == "2" ? 1 : 2
  input = count.index
  lifecycle { create_before_destroy = true }
  triggers_replace = var.v
}
module "sub" {
  source = "./sub"
  v      = var.v
}
output "plain" { value = terraform_data.a.output }
output "ident" { value = terraform_data.b.id }
output "sec" {
  value     = var.secret
  sensitive = true
}
