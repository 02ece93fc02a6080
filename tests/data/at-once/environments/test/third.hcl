artifact "i" {
  image = "a"
  file  = "b"
}
resource "local_service" "s" {
  command = ["x"]
  lifecycle {
    prevent_destory = true
    ignore_changes  = [comand]
  }
  count    = 1
  for_each = {}
}
resource "local_command" "c" {
  command = [each.key, count.index, self.id, path.modul]
}
provider "aws" {
  alias = 1 + 1
}
terraform {
  backend "s3" {}
  required_providers {
    gcp = { source = "hashicorp/google" }
  }
}
resource "local_file" "none" {
  count    = 0
  filename = "none.txt"
  contnet  = "x"
}
