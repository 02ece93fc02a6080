variable "a" {
  type = string
}
variable "b" {
  type    = list(string)
  default = []
}
variable "c" {
  type = map(string)
}
variable "d" {
  type = "number"
}
variable "e" { type = list(string) }
