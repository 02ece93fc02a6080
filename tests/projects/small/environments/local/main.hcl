# One of each kind that is quick, for the kill loop.

resource "terraform_data" "seed" {
  input = "one"
}

resource "local_file" "first" {
  filename = "../../out/first"
  content  = "first of ${terraform_data.seed.output}"
}

resource "local_file" "second" {
  filename = "../../out/second"
  content  = "second after ${local_file.first.content}"
}

resource "local_command" "once" {
  create            = ["sh", "-c", "echo made >> journal"]
  destroy           = ["sh", "-c", "echo gone >> journal"]
  working_directory = "../.."
  depends_on        = [local_file.second]
}

migration "schema" {
  database = "sqlite://../../small.db"
  source   = "../../migrations"
}
