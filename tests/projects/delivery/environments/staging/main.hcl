variable "healthy" {
  type    = bool
  default = true
}

module "app" {
  source   = "../../modules/app"
  greeting = "hello from staging"
  database = "sqlite://${path.project}/staging.db"
}

smoke_test "there" {
  depends_on = [module.app]
  command {
    argv = [var.healthy ? "true" : "false"]
  }
}
