output "o" {
  vlaue = 1
}
output "p" {
  value = local_file.aa.id
}
module "app" {
  source = "../../modules/app"
  nme    = 1
}
module "gone" {
  source = "../../modules/nowhere"
}
data "local_fil" "x" {}
health_check "h" {
  interval = "1s"
}
check "c" {
  assert {
    condition = true
  }
}
moved {
  from = local_file.x
}
resource "local_file" "wrong" {
  filename = "w.txt"
  content  = upper(["x"])
}
output "follows" {
  value = [local.a.b, local.b + 1, module.gone.url, module.app.url, local_file.wrong.content, var.port + 1]
}
