variable "x" {}

resource "terraform_data" "in" {
  input = var.x
}

output "y" {
  value = terraform_data.in.output
}

output "z" {
  value = var.x
}

output "s" {
  value     = "hush"
  sensitive = true
}
