locals {
  w = var.mst
}
