//! Whether a store keeps its word about conditional writes.
//!
//! Everything rests on them, and there are stores that take the header and write all the same. So before the first
//! write of a process the store is tried. Where there is a ledger, its marker is written over itself under conditions
//! that do not hold: a good store refuses, a bad one changes nothing, as the bytes are the same. Where there is none
//! yet, an object of its own serves, and is removed again.

use bytes::Bytes;

use super::client::{Client, Condition};
use super::failed::{Failed, Why};
use super::object::{MARKER, MAX_OBJECT, PROBE};
use super::settle::{self, Settled, points};
use crate::ports::id;

/// What a store was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Good,
    /// It takes a write that this condition forbids.
    Ignores(&'static str),
    /// It does not take conditional writes at all.
    Refuses(String),
}

const IF_NONE_MATCH: &str = "If-None-Match: *";
const IF_MATCH: &str = "If-Match";
/// A tag that nothing has: that of no bytes, which nothing here is.
const WRONG_TAG: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

/// Tries a store.
pub(super) async fn probe(client: &Client) -> Result<Found, Failed> {
    if let Some(marker) = client.get(MARKER, MAX_OBJECT).await? {
        return conditions(client, MARKER, &marker.bytes.into()).await;
    }
    let name = format!("{PROBE}{}", id::random_hex::<8>());
    let found = on_scratch(client, &name).await;
    // Whatever was found, and also if nothing was: nothing is left behind.
    let removed = client.delete(&name).await;
    let found = found?;
    removed?;
    Ok(found)
}

async fn on_scratch(client: &Client, name: &str) -> Result<Found, Failed> {
    let bytes = Bytes::from(format!("Gantry tries whether conditional writes hold ({}).\n", id::random_hex::<16>()));
    match settle::put(client, name, bytes.clone(), &Condition::Absent, points!("probe")).await {
        Ok(Settled::Mine(tag)) if tag.is_empty() => return Ok(Found::Refuses("it gives no entity tag".to_owned())),
        Ok(Settled::Mine(_)) => {}
        Ok(Settled::Other(_)) => return Ok(Found::Refuses("it refused a name that nothing else has".to_owned())),
        Ok(Settled::Unknown(reason)) => return Err(Failed::new(Why::Broken, &reason)),
        Err(failed) if failed.why == Why::Unsupported => return Ok(Found::Refuses(failed.text)),
        Err(failed) => return Err(failed),
    }
    conditions(client, name, &bytes).await
}

/// Writes what stands there over itself under conditions that do not hold.
async fn conditions(client: &Client, name: &str, bytes: &Bytes) -> Result<Found, Failed> {
    let wrong = Condition::Tag(WRONG_TAG.to_owned());
    for (condition, what) in [(Condition::Absent, IF_NONE_MATCH), (wrong, IF_MATCH)] {
        let put = client.again(|| async {
            match client.put_if(name, bytes, &condition).await {
                // A store that sees the conflict is one that looks.
                Err(failed) if matches!(failed.why, Why::Refused | Why::Busy) => Ok(None),
                Err(failed) if failed.why == Why::Unsupported => Ok(Some(Found::Refuses(failed.text))),
                Err(failed) => Err(failed),
                Ok(_) => Ok(Some(Found::Ignores(what))),
            }
        });
        if let Some(found) = put.await? {
            return Ok(found);
        }
    }
    Ok(Found::Good)
}
