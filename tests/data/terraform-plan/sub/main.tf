variable "v" {}
resource "terraform_data" "in" {
  input = { v = var.v, list = [{ a = 1 }, { a = var.v }] }
}
output "o" { value = terraform_data.in.output }
