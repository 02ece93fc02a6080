a = provider::terraform::encode_expr( 1 )
b = provider::x::y()
