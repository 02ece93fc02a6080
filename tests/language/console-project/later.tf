# This was added afterwards and never applied.

locals {
  never = terraform_data.never.output
  then  = "${terraform_data.never.id}-x"
}

resource "terraform_data" "never" {
  input = "never"
}

resource "terraform_data" "never_some" {
  count = 2
  input = count.index
}

resource "terraform_data" "never_each" {
  for_each = toset(["a"])
  input    = each.key
}

module "new" {
  source = "./m"
  x      = 5
}
