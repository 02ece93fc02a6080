locals {
  names = ["a", "b"]
}
output "x" {
  value = local.names[5]
}
