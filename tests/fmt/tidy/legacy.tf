resource "aws_instance" "web" {
  count = var.count
  ami   = lookup(var.amis, var.region)
  name  = "web-${count.index}"
  tags {
    Name = var.name
  }
  security_groups = ["${aws_security_group.a.id}", "${aws_security_group.b.id}"]
  user_data       = file("${path.module}/x.sh")
  subnet          = element(aws_subnet.a.*.id, count.index)
}
output "x" {
  value = aws_instance.web.*.id
}
