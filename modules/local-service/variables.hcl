# What a caller says about the service. Nothing here names an environment: that is the caller's business.

variable "name" {
  description = "The service, in messages and in the names of its nodes' objects"
  type        = string

  validation {
    condition     = length(var.name) > 0
    error_message = "The service needs a name."
  }
}

variable "example" {
  description = "Which of this package's examples is the service's program"
  type        = string
  default     = "shop"
}

variable "build" {
  description = "Whether the program is built here; false where it comes by promotion"
  type        = bool
  default     = true
}

variable "release" {
  description = "The release to build; handed to the compiler, so that releases differ in code"
  type        = number
  default     = 1

  validation {
    condition     = var.release >= 1 && var.release % 1 == 0
    error_message = "A release is a whole number from 1 on."
  }
}

variable "port" {
  description = "The stable port that customers use; each replica gets another one of its own"
  type        = number

  validation {
    condition     = var.port >= 1024 && var.port <= 65535
    error_message = "The port has to be from 1024 to 65535: lower ones need a privileged account."
  }
}

variable "replicas" {
  description = "How many processes serve"
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 16
    error_message = "A service on one machine has from 1 to 16 replicas."
  }
}

variable "environment" {
  description = "The environment variables of every replica; PORT is added"
  type        = map(string)
  default     = {}
}

# Whether a release is *healthy* is for the environment's checks to say, which keep what they saw as evidence.
variable "ready_path" {
  description = "What a replica is asked for until it answers at all"
  type        = string
  default     = "/products"
}
