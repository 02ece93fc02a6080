variable "name" {
  type = string
  validation {
    condition     = var.nam != ""
    error_message = "x"
  }
}
output "url" { value = module.db.url }
module "db" {
  source = "../db"
}
