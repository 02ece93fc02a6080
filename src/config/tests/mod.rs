//! Tests of the module as a whole, through its public functions.

mod deep;
mod loading;
mod mistakes;
mod project;
mod robust;
mod tokens;
mod templates;
mod syntax;
mod terms;
mod values;

pub(super) use loading::bundle;
