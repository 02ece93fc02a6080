output "a" {
type = "list"
}
resource "variable" "x" {
type = list
variable { type = "string" }
}
type = "string"
outer { 
variable "x" { type = "list" }
}
variable "y" {
  validation { type = list }
}
