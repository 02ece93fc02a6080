check "health" {
  data "http" "x" { url = "https://${local.host}" }
  assert {
    condition     = data.http.x.status_code == 200
    error_message = "${data.http.x.url} says ${data.http.x.status_code}"
  }
}
