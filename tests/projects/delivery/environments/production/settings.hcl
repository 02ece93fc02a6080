environment {
  promotion {
    from    = "staging"
    require = ["smoke_test.there"]
  }
}
