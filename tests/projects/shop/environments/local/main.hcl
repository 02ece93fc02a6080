# The sample's shape with a build that takes no time: what the test put at `shop` is what is built.

variable "database_url" {
  type    = string
  default = "sqlite://../../build/shop.db"
}

resource "local_command" "build" {
  create            = ["cp", "shop", "build/program"]
  update            = ["cp", "--remove-destination", "shop", "build/program"]
  triggers          = { source = filesha256("${path.project}/shop") }
  working_directory = path.project
}

artifact "shop" {
  file       = "${path.project}/build/program"
  depends_on = [local_command.build]
}

migration "schema" {
  database = var.database_url
  source   = "${path.project}/migrations"
}

resource "local_service" "shop" {
  command     = [artifact.shop.path]
  environment = { DATABASE_URL = migration.schema.url }
  replicas    = 2
  port        = {port}
  protocol    = "http"

  readiness {
    http_path = "/products"
    interval  = "50ms"
    timeout   = "10s"
  }

  drain_timeout = "5s"
}

health_check "shop" {
  http { url = "${local_service.shop.url}/health" }
  interval          = "100ms"
  timeout           = "3s"
  success_threshold = 2
}

smoke_test "checkout" {
  depends_on = [health_check.shop]
  phases     = ["verify"]
  http {
    method = "POST"
    url    = "${local_service.shop.url}/orders"
    body   = jsonencode({ sku = "A1", quantity = 1 })
    expect {
      status = 201
      json   = { "$.status" = "accepted" }
    }
  }
}

output "url" {
  value = local_service.shop.url
}
