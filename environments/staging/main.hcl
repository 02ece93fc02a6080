environment {
  description = "Where a release proves itself before production gets it"
}

variable "shop_release" {
  description = "Which release of examples/shop.rs to build: 1, 2 or 3"
  type        = number
  default     = 1
}

variable "port" {
  description = "Where customers find the shop"
  type        = number
  default     = 8081
}

variable "database_url" {
  description = "sqlite://FILE or postgres://…; left out, a SQLite file in build/"
  type        = string
  default     = null
  sensitive   = true # a PostgreSQL URL may hold a password
}

locals {
  database_url = var.database_url != null ? var.database_url : "sqlite://${path.project}/build/staging.db"
}

migration "schema" {
  database = local.database_url
  source   = "${path.project}/migrations"
}

module "shop" {
  source = "../../modules/local-service"

  name     = "shop"
  release  = var.shop_release
  port     = var.port
  replicas = 2
  # From the migration, not from the variable: this reference is what lets the schema go first.
  environment = { DATABASE_URL = migration.schema.url }
}

health_check "shop" {
  http {
    url = "${module.shop.url}/health"
    expect {
      status = 200
      json   = { "$.release" = var.shop_release }
    }
  }
  interval          = "500ms"
  timeout           = "30s"
  success_threshold = 2
}

smoke_test "catalogue" {
  depends_on = [health_check.shop]
  http {
    url = "${module.shop.url}/products"
    expect {
      status = 200
      json   = { "$[0].sku" = "A1" }
    }
  }
}

# An order is kept, so it is placed only once traffic has moved: a release that is merely being proven sells nothing.
smoke_test "checkout" {
  depends_on = [health_check.shop]
  phases     = ["verify"]
  http {
    method = "POST"
    url    = "${module.shop.url}/orders"
    body   = jsonencode({ sku = "A1", quantity = 1 })
    expect {
      status  = 201
      json    = { "$.status" = "accepted" }
      latency = "2s"
    }
  }
}

output "url" {
  description = "Where the shop serves"
  value       = module.shop.url
}

output "release" {
  value = module.shop.release
}

output "schema_version" {
  description = "The newest migration that the database has"
  value       = migration.schema.version
}
