environment {
  description = "What customers see"
  protected   = true # destroy, and changes that lose data, need --allow-destroy

  # What runs here is what staging proved, byte by byte: docs/promotion.md
  promotion {
    from    = "staging"
    soak    = "30s"
    require = ["smoke_test.checkout"]
  }
}

variable "port" {
  description = "Where customers find the shop"
  type        = number
  default     = 8082
}

variable "database_url" {
  description = "sqlite://FILE or postgres://…; left out, a SQLite file in build/"
  type        = string
  default     = null
  sensitive   = true # a PostgreSQL URL may hold a password
}

locals {
  database_url = var.database_url != null ? var.database_url : "sqlite://${path.project}/build/production.db"
}

migration "schema" {
  database = local.database_url
  source   = "${path.project}/migrations"
}

module "shop" {
  source = "../../modules/local-service"

  name     = "shop"
  build    = false
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

output "digest" {
  description = "The program that runs, by its content"
  value       = module.shop.digest
}

output "schema_version" {
  description = "The newest migration that the database has"
  value       = migration.schema.version
}
