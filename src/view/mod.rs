//! Views: what people and programs get to see.
//!
//! [`human`] makes text for people: plans as Terraform's users know them, tables, diagnostics, and a run's progress, live on
//! a terminal or as lines with times elsewhere. [`json`] makes the same for programs: a stream of events under the type names
//! of Terraform's machine-readable UI, and plans and states in Terraform's representations.
//!
//! Everything here turns data that somebody else decided into text; nothing decides, looks up or asks for the time. Renderings
//! give strings, and the watchers of a run ([`human::HumanRun`], [`json::Stream`]) write to what they are handed, each from a
//! thread of its own, so that a slow terminal never holds up a run. Three rules hold for all of them: what is sensitive is
//! masked before it is looked at ([`mask`]); text from outside has its control characters made visible
//! ([`crate::diag::escape_controls`]); and colour ([`Style`]) only repeats what the text says.

mod feed;
mod figures;
mod style;
mod words;

pub mod mask;

pub mod human;
pub mod json;
pub mod junit;

#[cfg(test)]
mod samples;

pub use figures::Figures;
pub use style::{Ink, Style};
pub use words::time;

/// Where a view reads the time of day: handed in, because views have no clock.
pub type Now = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
