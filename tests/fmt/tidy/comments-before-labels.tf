resource "a" "b" /* kept */ {
}
module /* kept */ {}
