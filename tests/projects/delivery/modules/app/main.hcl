# A program that is kept by its content, and a file that names it.

variable "greeting" {
  type = string
}

variable "schema" {
  description = "Which versions of the schema the program runs on"
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 2 }
}

variable "database" {
  type = string
}

migration "schema" {
  database = var.database
  source   = "${path.project}/migrations"
}

artifact "program" {
  file = "${path.project}/program"

  schema "schema" {
    min = var.schema.min
    max = var.schema.max
  }
}

resource "local_file" "config" {
  filename   = "${path.project}/out/${terraform.workspace}.txt"
  content    = "${var.greeting} ${artifact.program.digest}\n"
  depends_on = [migration.schema]
}

output "file" {
  value = local_file.config.filename
}
