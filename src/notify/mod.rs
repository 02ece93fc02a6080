//! Telling webhooks what happened, at least once.
//!
//! A message is durable in an [`Outbox`], a directory, before it is sent, and is removed from it after an answer of 2xx. What
//! could not be delivered waits there for the next command of the same project. A message holds what is told and for which
//! webhook by name; addresses and secrets stay in the project file and are handed in by who sends ([`Receiver`]), so that the
//! outbox holds no credential. Its identity stays the same over all attempts, so that receivers can tell a repetition.
//!
//! Requests follow Standard Webhooks (<https://www.standardwebhooks.com/>): `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`, an HMAC-SHA256 over `ID.TIMESTAMP.BODY`. Nothing here says more of a webhook than its name.

mod message;
mod outbox;
mod sign;
mod send;

pub use message::{DriftNews, Item, RunNews, Text};
pub use outbox::{Message, Outbox, OutboxError, Told};
pub use send::{Delivered, Left, Patience, Receiver, deliver};
