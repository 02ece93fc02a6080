# A web service in Kubernetes: a Deployment with all that it needs, as the Pod Security Standard "restricted" wants it.

locals {
  # A Deployment's selector can never be changed, so nothing that may change is in it.
  selector = {
    "app.kubernetes.io/name"     = var.name
    "app.kubernetes.io/instance" = var.name
  }
  labels     = merge(var.labels, local.selector)
  pod_labels = merge(local.labels, var.release == null ? {} : { "app.kubernetes.io/version" = var.release })

  # The names of secrets are no secret. Whether there are any has to be known for a plan.
  secret_names = nonsensitive(sort(keys(var.secrets)))

  # What an environment variable is changed to comes into pods only when they are made anew. So the content is in the name: another content is
  # another object, which makes the Deployment roll, and the way back finds the content that it had. Forty bits tell them apart.
  environment_name = "${var.name}-${substr(sha256(jsonencode(var.environment)), 0, 10)}"
  # With the names of service and namespace as salt, so that equal secrets of two services do not look equal.
  secret_name = "${var.name}-${nonsensitive(substr(sha256(jsonencode([var.namespace, var.name, var.secrets])), 0, 10))}"

  # How many there are at least when all is well. One alone cannot be protected from disruption but by blocking every node's drain.
  least = var.autoscaling == null ? var.replicas : var.autoscaling.min
}

resource "kubernetes_manifest" "service_account" {
  manifest = {
    apiVersion = "v1"
    kind       = "ServiceAccount"
    metadata = { for k, v in {
      name        = var.name
      namespace   = var.namespace
      labels      = local.labels
      annotations = length(var.service_account_annotations) == 0 ? null : var.service_account_annotations
    } : k => v if v != null }
    automountServiceAccountToken = var.mount_service_account_token
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }
}

resource "kubernetes_manifest" "environment" {
  count = length(var.environment) == 0 ? 0 : 1

  manifest = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = local.environment_name, namespace = var.namespace, labels = local.labels }
    data       = var.environment
    immutable  = true
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }

  # The old one is needed until the last old pod is gone.
  lifecycle {
    create_before_destroy = true
  }
}

resource "kubernetes_manifest" "secrets" {
  count = length(local.secret_names) == 0 ? 0 : 1

  manifest = {
    apiVersion = "v1"
    kind       = "Secret"
    type       = "Opaque"
    metadata   = { name = local.secret_name, namespace = var.namespace, labels = local.labels }
    stringData = var.secrets
    immutable  = true
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "kubernetes_manifest" "deployment" {
  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = var.name, namespace = var.namespace, labels = local.labels }
    spec = { for k, v in {
      # Left to the autoscaler where there is one: a number here would be taken back at every apply.
      replicas = var.autoscaling == null ? var.replicas : null
      selector = { matchLabels = local.selector }
      strategy = { type = "RollingUpdate", rollingUpdate = { maxSurge = "25%", maxUnavailable = 0 } }
      template = {
        metadata = { for k, v in {
          labels      = local.pod_labels
          annotations = length(var.pod_annotations) == 0 ? null : var.pod_annotations
        } : k => v if v != null }
        spec = { for k, v in {
          # References, not texts: they are what makes the new content come before the pods, and the old go after them.
          serviceAccountName           = kubernetes_manifest.service_account.manifest.metadata.name
          automountServiceAccountToken = var.mount_service_account_token
          imagePullSecrets             = length(var.image_pull_secrets) == 0 ? null : [for name in var.image_pull_secrets : { name = name }]
          securityContext = { for k, v in {
            runAsNonRoot   = true
            runAsUser      = var.run_as_user
            seccompProfile = { type = "RuntimeDefault" }
          } : k => v if v != null }
          # What goes gets no new connections only a moment after it was told to go, so it goes on serving for that moment.
          terminationGracePeriodSeconds = var.drain_seconds + 5
          # Spread over nodes where there are several, and no obstacle where there is one.
          topologySpreadConstraints = [{
            maxSkew           = 1
            topologyKey       = "kubernetes.io/hostname"
            whenUnsatisfiable = "ScheduleAnyway"
            labelSelector     = { matchLabels = local.selector }
          }]
          containers = [{ for k, v in {
            name    = var.name
            image   = var.image
            command = length(var.command) == 0 ? null : var.command
            args    = length(var.args) == 0 ? null : var.args
            ports   = [{ name = "http", containerPort = var.port, protocol = "TCP" }]
            env     = [{ name = "PORT", value = tostring(var.port) }]
            envFrom = concat(
              [for one in kubernetes_manifest.environment : { configMapRef = { name = one.manifest.metadata.name } }],
              [for one in kubernetes_manifest.secrets : { secretRef = { name = one.manifest.metadata.name } }],
            )
            resources = { for k, v in var.resources : k => v if length(v) > 0 }
            startupProbe = {
              httpGet          = { path = var.ready_path, port = "http" }
              periodSeconds    = 2
              failureThreshold = ceil(var.start_seconds / 2)
            }
            readinessProbe = {
              httpGet       = { path = var.ready_path, port = "http" }
              periodSeconds = 5
            }
            livenessProbe = var.live_path == null ? null : {
              httpGet          = { path = var.live_path, port = "http" }
              periodSeconds    = 10
              timeoutSeconds   = 5
              failureThreshold = 6
            }
            # By the kubelet itself (Kubernetes 1.30 and newer): an image needs no sleep program.
            lifecycle = { preStop = { sleep = { seconds = 5 } } }
            securityContext = {
              allowPrivilegeEscalation = false
              readOnlyRootFilesystem   = var.read_only_root_filesystem
              capabilities             = { drop = ["ALL"] }
            }
            volumeMounts = length(var.writable) == 0 ? null : [for at, path in var.writable : { name = "writable-${at}", mountPath = path }]
          } : k => v if v != null }]
          volumes = length(var.writable) == 0 ? null : [for at, path in var.writable : { name = "writable-${at}", emptyDir = {} }]
        } : k => v if v != null }
      }
    } : k => v if v != null }
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }

  wait {
    timeout = var.timeout
  }
}

resource "kubernetes_manifest" "service" {
  manifest = {
    apiVersion = "v1"
    kind       = "Service"
    metadata = { for k, v in {
      name        = var.name
      namespace   = var.namespace
      labels      = local.labels
      annotations = length(var.service.annotations) == 0 ? null : var.service.annotations
    } : k => v if v != null }
    spec = {
      type     = var.service.type
      selector = local.selector
      ports = [{ for k, v in {
        name       = "http"
        port       = var.service.port
        targetPort = "http"
        protocol   = "TCP"
        nodePort   = var.service.node_port
      } : k => v if v != null }]
    }
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }
}

resource "kubernetes_manifest" "disruption_budget" {
  count = local.least > 1 ? 1 : 0

  manifest = {
    apiVersion = "policy/v1"
    kind       = "PodDisruptionBudget"
    metadata   = { name = var.name, namespace = var.namespace, labels = local.labels }
    spec = {
      maxUnavailable = 1
      selector       = { matchLabels = local.selector }
      # A pod that is broken anyway does not hold up the drain of its node.
      unhealthyPodEvictionPolicy = "AlwaysAllow"
    }
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }
}

resource "kubernetes_manifest" "autoscaler" {
  count = var.autoscaling == null ? 0 : 1

  manifest = {
    apiVersion = "autoscaling/v2"
    kind       = "HorizontalPodAutoscaler"
    metadata   = { name = var.name, namespace = var.namespace, labels = local.labels }
    spec = {
      scaleTargetRef = {
        apiVersion = "apps/v1"
        kind       = "Deployment"
        name       = kubernetes_manifest.deployment.manifest.metadata.name
      }
      minReplicas = var.autoscaling.min
      maxReplicas = var.autoscaling.max
      metrics = [{
        type = "Resource"
        resource = {
          name   = "cpu"
          target = { type = "Utilization", averageUtilization = var.autoscaling.cpu_percent }
        }
      }]
    }
  }

  field_manager {
    force_conflicts = var.force_conflicts
  }
}
