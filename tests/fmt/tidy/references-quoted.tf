resource "a" "b" {
  lifecycle {
    ignore_changes = ["tags", "name"]
  }
  depends_on = ["a.c", "module.d"]
  provider   = "aws.west"
}
