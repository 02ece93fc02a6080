//! Review: an independent look at a finished plan, before anybody sees it.
//!
//! The planner decides and the lowering orders; both could be wrong, and what they get wrong is found out in somebody's
//! production. So every finished plan is held against rules that know nothing of how it was made: they read the plan, the
//! configuration and the records, share no code with `plan/lower.rs`, and know only what makes a plan illegal. (The idea is
//! omicron's *blippy*; one rule a file and one table over them is cargo's.)
//!
//! Most rules blame Gantry: a plan that breaks one is an internal error, and refusing it is cheaper than carrying it out.
//! The others blame the configuration, where only the whole plan shows what is wrong with it: something that may not be
//! destroyed would be, two blocks claim one object, a workload does not wait for the schema of its own database.
//!
//! [`RULES`] is the table. A rule is a function from a `Subject` (the plan with its indexes) to findings; the order of steps
//! is asked of `Order`, which answers most questions from the steps' own edges and needs no closure of the whole graph.

mod subject;
mod order;
mod finding;
mod rules;
mod table;

#[cfg(test)]
mod tests;

pub use finding::{Blame, Finding, Rule};
pub use table::{RULES, findings, review};
