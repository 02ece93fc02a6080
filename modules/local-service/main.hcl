# A web service on this machine: built from this repository, pinned by its content, run behind one stable port.

# Only where a release is made: elsewhere it comes by promotion. The dev profile, so that the demo and the tests share what is compiled.
resource "local_command" "build" {
  count = var.build ? 1 : 0

  create = [
    "cargo", "rustc", "--locked", "--example", var.example,
    "--", "--cfg", "shop_release=\"${var.release}\"",
  ]
  update = [
    "cargo", "rustc", "--locked", "--example", var.example,
    "--", "--cfg", "shop_release=\"${var.release}\"",
  ]
  triggers = {
    release = var.release
    source  = filesha256("${path.project}/examples/${var.example}.rs")
    crates  = filesha256("${path.project}/Cargo.lock")
  }
  working_directory = path.project
  timeout           = "30m" # a first build on a small machine compiles every crate that the program uses
}

# Pinned: the service runs from the ledger's copy, so that the next build does not pull the file from under it.
artifact "program" {
  file       = "${path.project}/target/debug/examples/${var.example}"
  depends_on = [local_command.build]
}

resource "local_service" "this" {
  command     = [artifact.program.path]
  environment = var.environment
  replicas    = var.replicas
  port        = var.port
  protocol    = "http"

  readiness {
    http_path = var.ready_path
    interval  = "200ms"
    timeout   = "20s"
  }

  drain_timeout = "5s"
}
