output "name" {
  description = "The service's name, which is that of its Deployment and its Service"
  value       = kubernetes_manifest.service.manifest.metadata.name
}

output "namespace" {
  description = "Where it is"
  value       = kubernetes_manifest.service.manifest.metadata.namespace
}

output "url" {
  description = "Where the service serves, inside the cluster"
  value       = "http://${var.name}.${var.namespace}.svc${var.service.port == 80 ? "" : ":${var.service.port}"}"
}

output "id" {
  description = "The Deployment's identity, once it is ready: what refers to it waits for the rollout"
  value       = kubernetes_manifest.deployment.id
}

output "release" {
  description = "The release that was asked for"
  value       = var.release
}

output "image" {
  description = "The image that runs"
  value       = var.image
}

output "selector" {
  description = "The labels of its pods, for a NetworkPolicy or a monitor"
  value       = local.selector
}

output "service_account" {
  description = "Who the pods are, for a RoleBinding"
  value       = kubernetes_manifest.service_account.manifest.metadata.name
}

output "environment_name" {
  description = "The ConfigMap of the environment variables; null if there are none"
  value       = one([for one in kubernetes_manifest.environment : one.manifest.metadata.name])
}

output "secret_name" {
  description = "The Secret of the other ones; null if there are none"
  value       = one([for one in kubernetes_manifest.secrets : one.manifest.metadata.name])
}
