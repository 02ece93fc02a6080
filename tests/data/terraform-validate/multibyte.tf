locals {
  größe = "日本語 é 👩‍👩‍👧" + 1 + var.größ
}
