region="eu-west-1"
zones=["a",
"b"]
tags={
Name="x"
Environment="staging"   # where
}
count=3
