output "x" {
  value = element(
    [],
    0,
  )
}
