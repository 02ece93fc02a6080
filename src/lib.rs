//! Gantry, an infrastructure-as-code deployment engine.
//!
//! An environment written in HCL is planned into one graph of resources, migrations and checks, compared with what
//! the ledger recorded and with what is really there, and carried out step by step; a run whose checks fail goes
//! back to where it started. `ARCHITECTURE.md` tells the way of one command through the modules below; `tests/tidy.rs`
//! checks that no module uses one it may not know.
//!
//! The modules stand in layers; each uses only what stands above it:
//!
//! * words, no I/O: [`addr`], [`value`], [`diag`], [`graph`], [`eval`], [`event`]
//! * the real world, narrow: [`ports`], [`mod@postgres`]
//! * who agreed to what, pure: [`sign`]
//! * what is written, what is recorded: [`config`], [`ledger`]
//! * deciding, pure: [`plan`], [`review`]
//! * doing: [`provider`], [`migrate`], [`probe`], [`notify`], [`exec`]
//! * use cases and faces: [`ops`], [`view`], [`cli`]
//!
//! Files on disk and who owns them:
//!
//! | file | owner |
//! | --- | --- |
//! | `environments/NAME/*.hcl`, `modules/` | [`config`] |
//! | `state/NAME/marker.json`, `ledger/`, `blobs/`, `key` | [`ledger`] |
//! | `state/NAME/place.json` | [`ops::store`] |
//! | `state/NAME/run/`, `logs/` | [`provider::local`] |
//! | `$XDG_STATE_HOME/gantry/outbox` | [`notify`] |
//! | plan files (`--out`) | [`plan::file`] |

// What the tests of this library share with those in `tests/it` names it from outside.
#[cfg(test)]
extern crate self as gantry;

/// The allocator of the command, also where its parts are tested: a campaign of the simulated world allocates all the time.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod addr;
pub mod value;
pub mod diag;
pub mod graph;
pub mod eval;
pub mod event;

pub mod ports;
pub mod postgres;
pub mod sign;

pub mod config;
pub mod ledger;

pub mod plan;
pub mod review;

pub mod provider;
pub mod migrate;
pub mod probe;
pub mod notify;
pub mod exec;

pub mod ops;
pub mod view;
pub mod cli;

#[cfg(test)]
mod sim;
