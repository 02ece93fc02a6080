locals {
  list = [{ a = 1 }]
  out = [for x in local.list : x.b]
}
output "x" {
  value = local.out
}
