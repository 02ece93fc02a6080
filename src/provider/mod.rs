//! Providers: what Gantry knows of its targets.
//!
//! A provider is data plus a few calls. The data is a [`ResourceSchema`] for each type: attributes, what forces
//! replacement, what is computed, and pure functions that the planner calls. The calls are the methods of
//! [`Provider`]: *observe* and *read* look, *act* changes, and *find* answers after a crash what became of an act.
//!
//! The protocol that keeps a run safe is the caller's (`exec`): it records an intent durably before [`Provider::act`] and the
//! outcome after it, never sends an act again whose outcome was [`Outcome::Unknown`] before [`Provider::find`] looked for it,
//! and every act carries an identity ([`Act::op`]) that a provider puts on the object itself wherever there is a place for it.
//! A new provider gets recovery from any crash by implementing `find` and `observe` honestly; [`conformance`] is the
//! suite that says whether it does.

mod act;
mod duration;
mod registry;
mod schema;
mod task;

pub mod catalog;
pub mod conformance;
pub mod kubernetes;
pub mod local;
pub mod oci;
#[cfg(test)]
pub(crate) mod fake;

pub use act::{
    Act, Action, Author, AwaitRequest, ChangedParts, Context, Evidence, Found, ImportRequest, Observation,
    ObserveRequest, Outcome, Preview, PreviewRequest, Prior, Problem, ProblemClass, Progress, Provider, ReadRequest,
    Readiness, Silent,
};
pub use registry::{Providers, not_configured};
pub use schema::{
    AttributeSchema, BlockSchema, Compute, Implied, Lowering, Mode, Nesting, ProposedChange, ResourceSchema, Role,
    Undo, Validate, named,
};
pub use task::{INPUT, Task, TaskEnd};
