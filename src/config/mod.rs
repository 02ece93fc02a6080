//! Configuration: the files of an environment and its modules, loaded into [`Desired`].
//!
//! [`source`] is the only part that sees files: it gathers what is read into a [`Bundle`](source::Bundle), content and
//! all, so that a plan, a saved plan and a later rollback work from the same bytes. `syntax` lowers hcl-edit's tree into
//! terms, `load` turns a bundle into modules, `variables` finds the values that people give.

pub mod desired;

pub use desired::Desired;
