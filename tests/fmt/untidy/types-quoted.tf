variable a {
type="string"
}
variable "b" {
  type = "list"
  default=[]
}
variable "c" {
type   =   "map"
}
variable "d" {
  type = "number"
}
variable "e" {type="list"}
