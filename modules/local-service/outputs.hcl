output "url" {
  description = "Where the service serves"
  value       = local_service.this.url
}

output "id" {
  description = "The service's identity on this machine"
  value       = local_service.this.id
}

output "release" {
  description = "The release that was asked for"
  value       = var.release
}

output "digest" {
  description = "The digest of the program that runs"
  value       = artifact.program.digest
}
