//! Whether an object does what it is there for, told from the object alone.
//!
//! Everything here is a function of one answer of the API server, so that a wait is a watch and this, and a test is a table.
//! The order of the questions is the same for every kind:
//!
//! 1. **Is it going?** An object with a `deletionTimestamp` has failed: whatever it is now, it will not stay.
//! 2. **Has its controller seen this change?** `metadata.generation` counts the changes of the specification,
//!    `status.observedGeneration` says up to which of them the status speaks. A status that lags belongs to the version
//!    before, and often says that all is well. This comes before every rule, one's own included. A condition may carry an
//!    `observedGeneration` too (Gateway API, many operators), which is held to the same.
//! 3. **One's own rules** (the `wait` block) replace what follows, if there are any.
//! 4. **The rule of its kind**, by API group and kind: `Service` is also a kind of Knative, `Job` one of Volcano.
//! 5. **The conventions of kstatus** for every other kind: `Stalled`, `Failed`, `Reconciling`, `Ready`, `Available`. An
//!    object without any of them is ready, as kstatus has it (most kinds have no status at all).
//!
//! [`Readiness::Failed`](crate::provider::Readiness::Failed) is kept for what waiting cannot mend and the object itself says
//! so: a failed Job, a lost claim, refused names, a passed progress deadline. What only *looks* hopeless (pods that crash) is
//! judged beside it, over time and with tolerance, by `doom`.
//!
//! Choices that somebody could make otherwise, with their reasons:
//!
//! * **A paused Deployment** that is complete is ready; one whose change is not rolled out has failed. Nothing happens until
//!   a person resumes it, so waiting to the deadline tells no more, and "ready" would claim that the new version serves.
//! * **A suspended Job** is ready: there is nothing to serve, whoever suspends it asks for exactly that, and Kueue and its
//!   kin start it when they see fit.
//! * **A PersistentVolumeClaim** that is `Pending` is ready. With `WaitForFirstConsumer`, the usual setting in clouds, it binds
//!   when the first pod is scheduled, which comes after it in every graph: waiting for it deadlocks (Helm's `--wait` did).
//!   The object does not say which binding mode it has. Where binding does fail, the pod that wants it is unschedulable, and
//!   says so. Whoever wants to wait asks for `status.phase = "Bound"`.
//! * **An Ingress** is ready when it exists: several controllers never write `status.loadBalancer` (a NodePort or host network
//!   in front), and Argo CD, which waits for it, has made "stuck in Progressing" a frequent question. Helm and kstatus do
//!   not wait either. Whoever wants to asks for `status.loadBalancer.ingress[0]`.
//! * **A HorizontalPodAutoscaler** does not wait for metrics: `FailedGetResourceMetric` and its kin are the rule for the first
//!   minute of every pod's life and come back with each rollout, and the controller looks at a new one only after its sync
//!   period of 15 s. A target that cannot be scaled, or a selector that cannot work, is waited for.
//! * **A PodDisruptionBudget** is ready once counted: how many disruptions are allowed is a fact of the day, no fault.
//! * **A passed progress deadline** counts only if the condition is younger than the last change of the specification: after
//!   a return to a ReplicaSet that exists, the controller leaves the old verdict in place for a moment
//!   (`syncRolloutStatus`, `DeploymentTimedOut`), with the generation already counted as seen.

mod gate;
mod network;
mod rest;
mod rules;
mod workload;

#[cfg(test)]
mod tests;

pub(crate) use gate::readiness;
pub(crate) use rules::{Rules, field_fault};
