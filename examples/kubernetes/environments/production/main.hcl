environment {
  description = "What customers see"
  protected   = true # destroy, and changes that lose data, need --allow-destroy

  # What runs here is what staging proved, by its digest: docs/promotion.md
  promotion {
    from    = "staging"
    soak    = "30s"
    require = ["smoke_test.front_page"]
  }
}

variable "context" {
  description = "The kubeconfig's context; left out, its current one"
  type        = string
  default     = null
}

variable "url" {
  description = "Where the checks find the shop: what kind.yaml maps to the Service's port of the nodes"
  type        = string
  default     = "http://127.0.0.1:8082"
}

variable "image" {
  description = "What is deployed, as staging calls it"
  type        = string
  default     = "docker.io/nginxinc/nginx-unprivileged:1.29-alpine"
}

variable "greeting" {
  description = "A setting that pods get when they are made: a change rolls them"
  type        = string
  default     = "Hello from production"
}

variable "api_key" {
  description = "A secret that pods get; it is in no plan, log or ledger"
  type        = string
  default     = null
  sensitive   = true
}

provider "kubernetes" {
  context = var.context
}

# Its digest comes by promotion: what staging proved, whatever the tag has become.
artifact "shop" {
  image = var.image
}

resource "kubernetes_manifest" "namespace" {
  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata = {
      name = "shop-production"
      labels = {
        # The API server itself refuses pods that may do more than the module's.
        "pod-security.kubernetes.io/enforce" = "restricted"
      }
    }
  }
}

module "shop" {
  source = "../../../../modules/kubernetes-service"

  name        = "shop"
  namespace   = kubernetes_manifest.namespace.manifest.metadata.name
  image       = artifact.shop.image
  replicas    = 2
  service     = { type = "NodePort", node_port = 30082 }
  environment = { GREETING = var.greeting }
  secrets     = var.api_key == null ? {} : { API_KEY = var.api_key }
  autoscaling = { min = 2, max = 6 }
}

# The cluster says that the pods are ready; whether customers are served is asked where they ask.
health_check "shop" {
  depends_on = [module.shop]
  http {
    url = var.url
    expect {
      status = 200
    }
  }
  interval          = "500ms"
  timeout           = "60s"
  success_threshold = 2
}

smoke_test "front_page" {
  depends_on = [health_check.shop]
  http {
    url = "${var.url}/"
    expect {
      status        = 200
      body_contains = "nginx"
      latency       = "2s"
    }
  }
}

output "url" {
  description = "Where the shop serves, inside the cluster"
  value       = module.shop.url
}

output "image" {
  description = "What runs, by its digest"
  value       = module.shop.image
}
