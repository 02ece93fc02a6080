a {}
b {}
c { x = 1 }
d "l" { x = 1 }
e {
}
f {

}
g "a" "b" { x = { y = 1 } }
