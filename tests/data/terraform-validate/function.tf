output "x" {
  value = lenght("abc")
}
