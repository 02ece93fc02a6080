//! The supervisor: one process for each service, which outlives every command.
//!
//! `gantry __supervise DIR TOKEN` leads a session of its own, holds the front port, and keeps any number of *deployments*
//! (versions of the service) running: one has the traffic, others are staged or wait to be retired. It hears requests on a
//! unix socket in DIR, one line of JSON each ([`protocol`]); every operation has an identity, and asking twice gives one
//! effect and the same answer.
//!
//! DIR (`state/NAME/run/services/ID`):
//!
//! | file | what | written by |
//! | --- | --- | --- |
//! | `service.json` | port, protocol, salt: what the service is for all its life | the command that makes it |
//! | `token` | which start may go on; another value fences a late one | whoever starts or fences |
//! | `lock` | held by the supervisor that runs: there is never a second one | supervisor |
//! | `supervisor.json` | who that is | supervisor |
//! | `control.sock` | requests | supervisor |
//! | `state.json` | deployments, which one is active, the last operations | supervisor, before it answers |
//! | `replicas-VERSION.json` | the processes that run | supervisor |
//!
//! All are readable by their owner alone; `state.json` holds the service's environment in clear, for a crashed replica has
//! to be started again without anybody's help.
//!
//! **Death.** Replicas are started from the main thread and end with it (PDEATHSIG): a killed supervisor leaves none behind, and
//! what forked away from one is found by the variables that it inherited, when the next supervisor starts. That one goes on from
//! `state.json`. **Traffic.** HTTP goes request by request ([`http`]), so no client's connection is tied to a version; TCP
//! goes connection by connection ([`tcp`]). A version that is switched away from finishes what it has.

pub(super) mod protocol;
pub(super) mod state;

mod log;
mod replica;
mod deployment;
mod front;
mod http;
mod tcp;
mod service;
mod control;
mod main;

pub(super) use deployment::{last_lines, mark, summary};
pub(super) use main::main;
