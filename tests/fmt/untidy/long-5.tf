   long_attribute_name1=in   
 dynamic  /* a
   b */"é" "\t\u00e9"    {# c
 dynamic  { 
      ignore_changes	= [ for k , v in   [1] :"s" if foo# é "x" ${
]   # c é
     long_attribute_name4= "${-1   ~}"  // z
     name1  = [
  
[for	x	in  x	:1 if 1   ]
,   module.m["k"].v	[ "a\"b" ].x
,   if
,   aws_x.y.z [local.name ] . z
# c
]     // z
    a7= [   ] # c
 /* z */  /* z */    } 

     default4= foo ["%%{x}"] . z
    depends_on7 =	été	
   }# c
  ignore_changes=1e3   # c
	health_check "\t\u00e9" /**/l{ 
   é2= in	 
	  bb6= {   for x in "s"	: 
"${/* a
   b */each.value~}"=>{   (var.a)	:   "$${x}"	
  }   }  
   a  "l"   {  }
	  for3  =	each.value   

   variable    {# c
type  = map
       type8="$${x}"  ?a.*.c	 :   "a\"b"
     bb8   =	[// d  
x-y [ "é日本"][*].y?   a[*].b
	 : local.name	,/* c */] 

}
	  long_attribute_name8 =/* a
   b */ "%{   if a.0.b}  y %{ else ~}${~ "$${x}"   ~}%{~endif}// " # c é
} 

