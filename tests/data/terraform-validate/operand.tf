locals {
  n = "tür"
  a = [1, local.n * 2]
}
output "x" {
  value = local.a
}
