resource "a" "b" {
  dynamic "setting" {
    for_each = var.settings
    iterator = s
    labels   = [s.key]
    content {
      name  = s.value["name"]
      value = s.value.value
    }
  }
}
