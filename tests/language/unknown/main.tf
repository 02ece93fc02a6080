# What unknown.txt is recorded with. `terraform_data.NAME.output` has the type of its input and is known after apply.
# tests/it/unknown.rs reads this file line by line: one resource, one local on each line.
resource "terraform_data" "string" { input = "x" }
resource "terraform_data" "number" { input = 1 }
resource "terraform_data" "bool" { input = true }
resource "terraform_data" "list" { input = tolist(["x"]) }
resource "terraform_data" "numbers" { input = tolist([1]) }
resource "terraform_data" "objects" { input = tolist([{ a = "x", b = 1 }]) }
resource "terraform_data" "set" { input = toset(["x"]) }
resource "terraform_data" "map" { input = tomap({ a = "x" }) }
resource "terraform_data" "tuple" { input = ["x", 1] }
resource "terraform_data" "object" { input = { a = "x", b = 1, c = ["x"] } }

locals {
  s    = terraform_data.string.output
  id   = terraform_data.string.id
  n    = terraform_data.number.output
  b    = terraform_data.bool.output
  l    = terraform_data.list.output
  ln   = terraform_data.numbers.output
  lo   = terraform_data.objects.output
  set  = terraform_data.set.output
  m    = terraform_data.map.output
  t    = terraform_data.tuple.output
  o    = terraform_data.object.output
  d    = jsondecode(terraform_data.string.output)
  pre  = "pre-${terraform_data.string.output}"
  pt   = ["a", terraform_data.string.output]
  pl   = tolist(["a", terraform_data.string.output])
  pset = toset(["a", terraform_data.string.output])
  pm   = tomap({ a = terraform_data.string.output, k = "v" })
  po   = { a = terraform_data.string.output, k = "v", n = 1 }
  kl   = tolist(["a", "b", "c"])
  km   = tomap({ a = "x", k = "v" })
  ko   = { a = "x", k = "v", n = 1 }
  ss   = sensitive(terraform_data.string.output)
  sb   = sensitive(terraform_data.bool.output)
  sl   = sensitive(terraform_data.list.output)
  psl  = ["a", var.s]
  pso  = { a = "x", s = var.s }
}

variable "s" {
  default   = "secret"
  sensitive = true
}
variable "n" {
  default   = 7
  sensitive = true
}
variable "b" {
  default   = true
  sensitive = true
}
variable "f" {
  default   = false
  sensitive = true
}
variable "null" {
  default   = null
  sensitive = true
}
variable "i" {
  default   = 1
  sensitive = true
}
variable "key" {
  default   = "a"
  sensitive = true
}
variable "l" {
  default   = ["a", "b"]
  sensitive = true
}
variable "m" {
  default   = { a = "x", b = "y" }
  sensitive = true
}
variable "o" {
  default   = { a = "x", n = 1, l = ["p"] }
  sensitive = true
}
variable "e" {
  default   = "ephemeral"
  ephemeral = true
}
variable "eb" {
  default   = true
  ephemeral = true
}
variable "el" {
  default   = ["a", "b"]
  ephemeral = true
}
variable "plain" {
  default = "plain"
}
