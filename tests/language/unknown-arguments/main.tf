# Values that are known after apply, of several types.
resource "terraform_data" "u" {}

locals {
  string = terraform_data.u.id
  any    = jsondecode(terraform_data.u.id)
  number = parseint(terraform_data.u.id, 16)
  bool   = terraform_data.u.id == "x"
  list   = split(",", terraform_data.u.id)
  set    = toset(split(",", terraform_data.u.id))
  map    = zipmap(split(",", terraform_data.u.id), split(",", terraform_data.u.id))
  tuple  = local.bool ? ["a", 1] : ["b", 2]
  object = local.bool ? { a = "x", b = 1 } : { a = "y", b = 2 }
}
