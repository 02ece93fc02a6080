environment {
  description = "Pre-production"
  on_failure  = "hold"
  state "local" {}
}
health_check "shop" {
  http { url = "${module.shop.url}/health" }
  interval          = "1s"
  success_threshold = 2
}
smoke_test "checkout" {
  depends_on = [health_check.shop]
  http {
    method = "POST"
    body   = jsonencode({ sku = "A1", quantity = 1 })
    expect {
      status = 201
      json   = { "$.status" = "accepted" }
    }
  }
}
migration "schema" {
  database = var.database_url
  source   = "${path.project}/migrations"
}
artifact "shop" { image = "registry.example.com/shop:${var.shop_version}" }
