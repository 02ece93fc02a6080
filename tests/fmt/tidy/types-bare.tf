variable "a" { type = list(any) }
variable "b" { type = map(any) }
variable "c" { type = set(any) }
variable "d" { type = string }
variable "e" { type = any }
variable "f" {
  type = list(string)
}
variable "g" {
  type = object({ a = string, b = optional(list(string), ["x"]) })
}
variable "h" {
  type = object({
    a   = string
    bcd = number # c
  })
  default = { a = "x", bcd = 1 }
}
variable "i" { type = "${x}" }
variable "j" { type = /* c */ list(any) /* d */ }
