module "shop" {
  source = "../../modules/shop"
  providers = {
    aws      = aws
    aws.west = aws.west
  }
  for_each   = toset(["a", "b"])
  depends_on = [module.db]
}
moved {
  from = a.b
  to   = a.c["x"]
}
import {
  to = a.b
  id = "x"
}
removed {
  from = a.b
  lifecycle { destroy = false }
}
