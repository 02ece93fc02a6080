resource "a" "b" {
lifecycle {
create_before_destroy=true
ignore_changes=[tags,
name]
precondition {
condition=self.x>1
error_message="x is ${self.x}."
}
}
provisioner "local-exec" {command="echo ${self.id}"}
}
