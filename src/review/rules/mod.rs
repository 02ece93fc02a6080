//! The rules, one a file. Their names, what they check and why are in the table, `review/table.rs`.

pub(super) mod order;
pub(super) mod names;
pub(super) mod changes_have_steps;
pub(super) mod results;
pub(super) mod needs;
pub(super) mod node_order;
pub(super) mod commit;
pub(super) mod deletes;
pub(super) mod migrations;
pub(super) mod secrets;
pub(super) mod prevent_destroy;
pub(super) mod claims;
pub(super) mod schema_first;
