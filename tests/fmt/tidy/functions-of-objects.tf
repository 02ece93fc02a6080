locals {
  a = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = ["s3:*",
      "ec2:*"]
      Resource = "*"
      }, {
      Effect = "Deny"
    }]
  })
  b = { for k, v in merge(
    var.a,
    { x = 1 },
  ) : k => v }
}
