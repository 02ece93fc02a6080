//! What a conditional write came to.
//!
//! A reply that never came, a 500 or a "try again" says nothing about the write, and sending it again would collide
//! with one's own first attempt: the store then answers that the position is taken, and the writer would believe that
//! another has fenced it. So before anything is sent again the object is read back and compared, byte by byte. All
//! that is written here is different for each writer, so that equal bytes are one's own.

use bytes::Bytes;

use super::client::{Client, Condition, Found, is_over};
use super::failed::{Failed, Why};
use super::object::MAX_OBJECT;
use crate::ports::crash;

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is written; the object has this tag.
    Mine(String),
    /// It is not, and never will be: this stands there instead, if anything.
    Other(Option<Found>),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// Where a write has its crash points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// Names the crash points around a write.
macro_rules! points {
    ($name:literal) => {
        crate::ledger::s3::settle::Points {
            before: concat!("ledger.s3.", $name, ".before"),
            after: concat!("ledger.s3.", $name, ".after"),
        }
    };
}
pub(super) use points;

/// Writes an object if the condition holds, and finds out what it came to.
///
/// # Errors
/// When the write was refused or never left, so that it is known to have done nothing.
pub(super) async fn put(
    client: &Client,
    name: &str,
    bytes: impl Into<Bytes>,
    condition: &Condition,
    points: Points,
) -> Result<Settled, Failed> {
    let bytes = bytes.into();
    let end = client.patience.end();
    let (mut attempt, mut doubtful) = (0, false);
    loop {
        crash::point(points.before);
        let put = client.put_if(name, &bytes, condition).await;
        crash::point(points.after);
        let failed = match put {
            Ok(tag) => return Ok(Settled::Mine(tag)),
            Err(failed) => failed,
        };
        doubtful |= failed.is_doubtful();
        // Without a doubt, only an answer about what stands there makes it worth looking.
        let about_the_object = matches!(failed.why, Why::Refused | Why::Busy | Why::Missing);
        if doubtful || about_the_object {
            match look(client, name, &bytes, condition).await {
                Ok(Some(settled)) => return Ok(settled),
                Ok(None) => {}
                Err(e) if doubtful && e.reason() == failed.reason() => return Ok(Settled::Unknown(e.reason())),
                Err(e) if doubtful => {
                    return Ok(Settled::Unknown(format!("{}, and then {}", failed.reason(), e.reason())));
                }
                Err(e) => return Err(e),
            }
        }
        // An answer that will be the same next time. The condition seems to hold and yet was refused: once more, in
        // case somebody removed what had stood there.
        let again = failed.is_passing() || (failed.why == Why::Expired && attempt == 0) || failed.why == Why::Refused;
        attempt += 1;
        if !again || attempt >= client.patience.tries || is_over(end) {
            return if doubtful { Ok(Settled::Unknown(failed.reason())) } else { Err(failed) };
        }
        client.pause(attempt - 1).await;
    }
}

/// What stands there now: ours, another's, or (`None`) still what the condition asks for, so that the write can be
/// sent again.
async fn look(client: &Client, name: &str, bytes: &Bytes, condition: &Condition) -> Result<Option<Settled>, Failed> {
    let found = client.get(name, MAX_OBJECT).await?;
    Ok(match (&found, condition) {
        (Some(there), _) if there.bytes == *bytes => Some(Settled::Mine(there.tag.clone())),
        (None, Condition::Absent) => None,
        (Some(there), Condition::Tag(tag)) if there.tag == *tag => None,
        _ => Some(Settled::Other(found)),
    })
}
