//! How the ledger is written down.
//!
//! Everything that is hashed or signed is canonical JSON ([`canonical`]): one value has exactly one spelling, so that
//! a digest of the bytes is a digest of the value, and a reader that decodes and a reader that hashes can never be
//! shown two different things. An entry is one line of it ([`mod@line`]); each carries its own SHA-256 ([`mod@digest`]) and
//! that of the entry before, from a genesis digest that only this ledger's lineage gives, so that nothing can be
//! changed, cut out of the middle or moved over from another ledger without the chain telling.
//!
//! The format has a number ([`FORMAT`]) which stands in the ledger's marker and in the head of each segment. A ledger
//! of a higher number is refused with the version of Gantry that can read it; it is never half understood.

pub mod canonical;
pub mod digest;
pub mod line;

pub use canonical::{FormatError, decode, encode, from_canonical, to_canonical};
pub use digest::{Digest, Digester, Lineage, digest};
pub use line::{BrokenChain, Chain, Continues, RawEntry, time_text, verify_chain};

/// The number of the format that this Gantry writes, and the highest that it reads.
pub const FORMAT: u64 = 1;

/// The oldest version of Gantry that reads what this one writes; raised together with [`FORMAT`].
pub const NEEDS: &str = "0.1.0";
