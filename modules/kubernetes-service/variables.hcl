# What a caller says about the service. Nothing here names an environment or a cluster: that is the caller's business.

variable "name" {
  description = "The service: the name of its objects, and in the label app.kubernetes.io/name"
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,46}[a-z0-9])?$", var.name))
    error_message = "The name has to be one of a Service, with room for what is put behind it: at most 48 of a-z, 0-9 and -, from a letter on, and no - at the end."
  }
}

variable "namespace" {
  description = "The namespace, which has to be there or to be made by the same environment"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "The namespace has to be at most 63 of a-z, 0-9 and -, with no - at either end."
  }
}

variable "image" {
  description = "The image, best by its digest: artifact.NAME.image"
  type        = string

  validation {
    condition     = length(var.image) > 0 && !can(regex("[[:space:]]", var.image))
    error_message = "The service needs an image, such as registry.example.com/shop:1.4 or, best, artifact.shop.image."
  }
  validation {
    condition     = !endswith(var.image, ":latest")
    error_message = "An image called latest is another one tomorrow, and nothing would notice. Name a version, or pin it with an artifact block and give its image."
  }
}

variable "release" {
  description = "The release, for people: it becomes the label app.kubernetes.io/version of the pods"
  type        = string
  default     = null

  validation {
    condition     = var.release == null ? true : can(regex("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", var.release))
    error_message = "The release becomes a label's value: at most 63 of A-Z, a-z, 0-9, -, _ and ., with a letter or a digit at both ends."
  }
}

variable "command" {
  description = "What runs instead of the image's entry point; left out, that"
  type        = list(string)
  default     = []
}

variable "args" {
  description = "Its arguments; left out, the image's"
  type        = list(string)
  default     = []
}

variable "port" {
  description = "The port that the program listens on, which it also gets as PORT"
  type        = number
  default     = 8080

  validation {
    condition     = var.port >= 1024 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "The port has to be a whole number from 1024 to 65535: lower ones need a privileged account, which the container is not."
  }
}

variable "service" {
  description = "How the service is reached: its port and type, and the port of the nodes where it is a NodePort"
  type = object({
    port        = optional(number, 80)
    type        = optional(string, "ClusterIP")
    node_port   = optional(number)
    annotations = optional(map(string), {})
  })
  default = {}

  validation {
    condition     = contains(["ClusterIP", "NodePort", "LoadBalancer"], var.service.type)
    error_message = "The service's type is ClusterIP, NodePort or LoadBalancer."
  }
  validation {
    condition     = var.service.port >= 1 && var.service.port <= 65535
    error_message = "The service's port has to be from 1 to 65535."
  }
  validation {
    condition     = var.service.node_port == null ? true : var.service.type != "ClusterIP"
    error_message = "A node_port is that of a service of type NodePort or LoadBalancer."
  }
}

variable "replicas" {
  description = "How many pods serve; with autoscaling only how many are taken for granted by the disruption budget"
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 0 && floor(var.replicas) == var.replicas
    error_message = "The number of replicas is a whole number from 0 on."
  }
}

variable "autoscaling" {
  description = "From how many to how many pods, and at what use of the CPU they ask for; null for a fixed number"
  type = object({
    min         = number
    max         = number
    cpu_percent = optional(number, 70)
  })
  default = null

  validation {
    condition     = var.autoscaling == null ? true : var.autoscaling.min >= 1 && var.autoscaling.max >= var.autoscaling.min
    error_message = "An autoscaler needs min from 1 on, and max not below it."
  }
  validation {
    condition     = var.autoscaling == null ? true : var.autoscaling.cpu_percent >= 1 && var.autoscaling.cpu_percent <= 100
    error_message = "cpu_percent is a percentage of what the pods ask for, from 1 to 100."
  }
  validation {
    condition     = var.autoscaling == null ? true : contains(keys(var.resources.requests), "cpu")
    error_message = "An autoscaler measures by what the pods ask for: resources.requests needs a \"cpu\"."
  }
}

variable "environment" {
  description = "The environment variables of every pod, kept in a ConfigMap; PORT is added"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "An environment variable's name has only letters, digits and _, and does not begin with a digit."
  }
}

variable "secrets" {
  description = "More environment variables, kept in a Secret and never shown"
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "An environment variable's name has only letters, digits and _, and does not begin with a digit."
  }
}

# Whether a release is *healthy* is for the environment's checks to say, which keep what they saw as evidence.
variable "ready_path" {
  description = "What a pod is asked for until it answers at all, and again and again from then on"
  type        = string
  default     = "/"

  validation {
    condition     = startswith(var.ready_path, "/")
    error_message = "The path begins with a /."
  }
}

variable "live_path" {
  description = "What a pod is asked for to tell whether it has to be restarted; null for never (a program that can end by itself needs none)"
  type        = string
  default     = null

  validation {
    condition     = var.live_path == null ? true : startswith(var.live_path, "/")
    error_message = "The path begins with a /."
  }
}

variable "start_seconds" {
  description = "How long a pod may take until it answers for the first time"
  type        = number
  default     = 60

  validation {
    condition     = var.start_seconds >= 2 && var.start_seconds <= 3600
    error_message = "A pod has from 2 to 3600 seconds to start."
  }
}

variable "drain_seconds" {
  description = "How long requests may take to end when a pod goes"
  type        = number
  default     = 30

  validation {
    condition     = var.drain_seconds >= 0 && var.drain_seconds <= 3600
    error_message = "Requests have from 0 to 3600 seconds to end."
  }
}

variable "resources" {
  description = "What a pod asks for, and what it may use at most"
  type = object({
    requests = optional(map(string), { cpu = "100m", memory = "128Mi" })
    limits   = optional(map(string), { memory = "256Mi" })
  })
  default = {}
}

variable "read_only_root_filesystem" {
  description = "Whether the program can write only where writable says"
  type        = bool
  default     = true
}

variable "writable" {
  description = "Directories that the program writes into; what is there is gone with the pod"
  type        = list(string)
  default     = ["/tmp"]

  validation {
    condition     = alltrue([for path in var.writable : startswith(path, "/")])
    error_message = "A directory is named from / on."
  }
}

variable "run_as_user" {
  description = "The number of the account that runs it; null for the image's, which must not be root and must be a number"
  type        = number
  default     = null

  validation {
    condition     = var.run_as_user == null ? true : var.run_as_user > 0
    error_message = "Account 0 is root, and the Pod Security Standard \"restricted\" does not let root run."
  }
}

variable "service_account_annotations" {
  description = "Annotations of the ServiceAccount, for a cloud's identities"
  type        = map(string)
  default     = {}
}

variable "mount_service_account_token" {
  description = "Whether the program may talk to the API server as its ServiceAccount"
  type        = bool
  default     = false
}

variable "image_pull_secrets" {
  description = "Secrets of type kubernetes.io/dockerconfigjson that are there already"
  type        = list(string)
  default     = []
}

variable "labels" {
  description = "More labels for every object"
  type        = map(string)
  default     = {}
}

variable "pod_annotations" {
  description = "Annotations of the pods"
  type        = map(string)
  default     = {}
}

variable "timeout" {
  description = "How long a rollout may take"
  type        = string
  default     = "10m"
}

variable "force_conflicts" {
  description = "Whether an apply takes back what somebody else set of these objects since, as with kubectl edit or scale; else it is refused and says who it was"
  type        = bool
  default     = true
}
