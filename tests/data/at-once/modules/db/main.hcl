variable "must" {}
locals {
  broken = [1, 2
}
