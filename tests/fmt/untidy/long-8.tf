variable {

   depends_on=  "🇩🇪🇫🇷"   
   dynamic	x-y	l  	{

       日本 =	"🇩🇪🇫🇷" 

     name2= {
 (x)=	(
-1   )   # c
} 
     é0 = var.x!= var.x 
    name3 =a[*].b   

	   }
    for2	= [  type , 
1.5 , 
x-y

]  
  in0=   "x$"   
     count ={ 	}   
 
 } # c
	variable   	{# c
 variable ""   {# c

		    depends_on  ="%{if <<-EOT
  EOT
 }${~	true  }%{ else ~}${ "a\"b"  }%{endif}}"	
	    count  = 名前    // z
      type0 =	"${ true~}${ 
b   }a=b"  /* a
   b */ # c é
} 

 dynamic  x-y  {
	    bb4	=<<E
	$
 %{ for x in "👩‍👩‍👧 x" ~}$%{endfor}
 E
   // z
}	

// x
}  # c
  variable l l { }
   locals "a b"	"l"      { 
/* z */   type7 = "${"" }"    # c é
   x-y8=  "%%{x}"  
a   {   type =  data.a.b[0].c} # c
 /* y */
}
   a x-y{ }
 é	=a.0.b	
