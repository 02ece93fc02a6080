variable "port" {
  type    = number
  default = "ätz"
}
