# What the console's corpora (console-state.txt, console-plan.txt) are recorded against: this was applied.

variable "unset" {}

variable "typed" {
  type = object({ a = string, b = optional(number, 3) })
}

variable "size" {
  default = 3
}

variable "secret" {
  default   = "hidden"
  sensitive = true
}

variable "passing" {
  default   = "e"
  ephemeral = true
}

locals {
  next    = var.size + 1
  output  = terraform_data.one.output
  mixed   = [var.secret, "x", { deep = var.secret, plain = "y" }]
  outputs = [for k, v in terraform_data.each : v.output]
  gone    = { x = var.passing, y = 1 }
}

resource "terraform_data" "one" {
  input = "applied-${var.size}"
}

resource "terraform_data" "each" {
  for_each = toset(["a", "b"])
  input    = each.key
}

resource "terraform_data" "some" {
  count = var.size - 1
  input = { index = count.index, text = "line one\nline two" }
}

resource "terraform_data" "secret" {
  input = { open = 1, closed = var.secret }
}

module "m" {
  source = "./m"
  x      = local.next
}

module "each" {
  source   = "./m"
  for_each = toset(["p", "q"])
  x        = each.key
}

output "next" {
  value = local.next
}
