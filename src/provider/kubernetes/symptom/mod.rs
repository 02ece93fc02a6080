//! What is wrong with the pods of a new version, told from the objects around a workload.
//!
//! A Deployment that cannot come up says so after `progressDeadlineSeconds`, ten minutes by default; its pods say so at once.
//! So a verdict in seconds has to look at them, and at those of the *new* version only: an old version that is crashing is
//! often the reason for the rollout, and must not fail it.
//!
//! * [`Children`] are the objects around a workload as they were last seen, and which of them are the new version's.
//! * [`symptoms`] is what is wrong with these, each as kind, object, count and sentence. It only tells what is the case now: how
//!   long and how often it may be the case before it is hopeless is decided by `doom`.
//! * [`evidence_plan`] and [`describe`] say what a person wants to read after a failure.
//!
//! Which messages mean what was learned by others the hard way. Krane narrowed its own fail-fast twice (Shopify/krane#477,
//! #885), and ends with: an image that is *not found* is hopeless, one that cannot be pulled is not; a missing Secret is,
//! "failed to sync … cache" is not (`pod.rb`, `doom_reason`). We tell the same apart, and what is between the two gets
//! a kind of its own and more patience.

mod cause;
mod events;
mod evidence;
mod kinds;
mod own;
mod pods;

#[cfg(test)]
mod tests;

pub(crate) use evidence::{LogWanted, describe, evidence_plan};
pub(crate) use kinds::{Symptom, SymptomKind};
pub(crate) use own::{Children, is_ready, new_pods};
pub(crate) use pods::symptoms;
