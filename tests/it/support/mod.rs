//! What the integration tests share.
//!
//! * [`Sandbox`]: a project in a temporary directory and a `gantry` that sees nothing of the machine but its PATH. What it
//!   started is ended when it is dropped, whatever became of the test.
//! * [`scenario`]: a golden transcript of `tests/scenarios/`, run in a sandbox.
//! * [`http`]: one request, one answer. [`postgres`]: a server of the tests' own. [`Load`]: customers who never
//!   stop asking.

pub(crate) mod http;
mod load;
pub(crate) mod normalise;
mod ports;
pub(crate) mod postgres;
mod processes;
mod sandbox;
pub(crate) mod scenario;

pub(crate) use load::Load;
pub(crate) use sandbox::{Sandbox, shop_variant};
