resource   	{
a	"a b"   {
    default5 =	"${~   "a b"   }"  # c

    ccc2=  "a b" # c é
   } 

   depends_on5=	[ for  k , v  in   [1]/* a
   b */:	x-y if if
] 
  日本7	=   "é日本" # c é
variable   {# c
type  =object({a=string,b=optional(list(any),[])})
      ccc=/* a
   b */  type   
    count7   =  each.value	 # c é
     long_attribute_name = for [ [   
]].x  # c
       日本	="%{ for x in a.0.b ~}${~/* a
   b */for }%{endfor}${  "é日本"~}"
      for = "क्षि"	 # c é
	    depends_on3 =   a.0.b
 }	

  depends_on3   = 1   // z
	} # c
 variable  {
type=  "string"

  ccc3 =null   
     é6="" 
  default4  =   "${~ "a b"  } # no "	

  
 }
  in =	"${  { for k , v in aws_x.y.z	:  a.*.c# c
=>	"👩‍👩‍👧 x" if "🇩🇪🇫🇷"} 
}${ 	in# c
}x"	
type=  { 日本  = 名前<=/* a
   b */a.*.c   

 (var.a) = true!= foo  ,
}  /* a
   b */
 日本4 = "%%{x}"
