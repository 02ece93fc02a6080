//! The canonical format: what `gantry fmt` makes of a file, byte for byte what Terraform's `fmt` makes of it.
//!
//! A file is formatted as tokens, not as a tree: comments stand anywhere, and no tree has a place for them all. In three
//! steps: `rewrite` walks over blocks and arguments and changes the few tokens that have a better form (`"${x}"`, quoted
//! types, bare labels), `spacing` says which neighbours are set apart, and `layout` indents lines and puts equals signs and
//! comments of consecutive lines into columns. The rules are those of Terraform 1.11 (hclwrite's formatter and its `fmt`
//! command), learnt from their sources and measured against the program (`tests/fmt/`).
//!
//! Everything is one pass over the tokens, so the time is linear in the length of the file.

mod file;
mod label;
mod layout;
mod piece;
mod rewrite;
mod spacing;

pub use file::format;

#[cfg(test)]
mod tests;
