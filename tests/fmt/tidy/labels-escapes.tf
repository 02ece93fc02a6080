a "xéy" {}
a "tab\tquote\"backslash\\" {}
a "soft\u00adhyphen" {}
a "decomposed é" {}
a "" {}
a "with space" "été" {}
a "smile 😀" {}
