//! Migrations.
pub mod sql;
pub mod source;
