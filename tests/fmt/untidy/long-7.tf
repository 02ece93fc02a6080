	bb   ="$${x}"  
 count4="${~

a.*.c~}"  # c
   name0=   "${	type~}" 

 health_check	l   {
}   # c
	a		{
	  name3={  for	k,v in - true/* c */:/* c */[ for	k , v	in"🇩🇪🇫🇷"
	: null if foo
/* c */]=> {	for x  in 1.5	:  1e3 =>	"क्षि"...  }...} 
 locals	  {

 



	       default   =-null    # c é
 
       for5  ={	(var.a)  =/**/for [( local.name ) ].x}  
 }   # c
	  ignore_changes= {    1 :  "  y " 
  }	
   long_attribute_name = if 
	  a	=  [  for x in  x
:
foo ] 
   bb="x$" /* c */  // z
	}   # c
resource "l"  { type = {  for k,v in 1e3/**/:
/**/null=>   -1  }}
x-y5  =/* c */  "%{	if { }   }a=b%{else}%{ if module.m["k"].v}// %{ else ~}%{ for x in "👩‍👩‍👧 x" ~}%{	if if }%{ if b   }${  null }%{~endif}%{ else ~}${  "क्षि"   }%{ endif ~}%{endfor}%{endif}%{ endif ~}${ /* c */"é日本"
// d  
~}"# c
