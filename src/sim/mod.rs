//! The simulated world: the product's own machine, driver, recorder, recovery, ledger writer, replay and entry encoding, and
//! the code of `ops` that decides what the next command does with what it finds; only the clock, the disk, randomness, the
//! target, probes and databases are others. No real disk, no real wait, no thread: a world is a function of its seed.
//!
//! * [`clock`]: time that moves only when nothing else can
//! * [`disk`]: a ledger in memory, with what a crash, a torn write, a lost answer leaves
//! * [`target`]: a provider that holds its caller to the protocol, and keeps what really exists
//! * [`outside`]: probes and databases
//! * [`world`]: what outlives a process, the places at which something can happen, and a process in it
//! * [`story`]: what is done, from HCL to a plan
//! * [`explore`]: schedules, the oracle, what was covered
//! * [`points`]: every crash point of the source, and who lets a process die there
//! * `campaign`, `matrix`: the tests
//!
//! A crash drops the process (its future and its tasks) at a counted place. What was durable stays, and the next process does
//! what the same command would do. `docs/reliability.md` says what is promised and what was measured.

mod campaign;
mod clock;
mod disk;
mod explore;
mod matrix;
mod outside;
mod points;
mod story;
mod target;
mod world;
