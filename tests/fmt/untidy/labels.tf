resource foo bar {
}
resource "foo"    bar   {
}
resource    foo "bar"{
}
a b c "d" e {}
