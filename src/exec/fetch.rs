//! What a step needs of the ledger's blobs, brought to this machine before the step starts.
//!
//! A step names an artifact's file by its path in the directory of blobs, in an argument of its own or within a longer text (a
//! command line). With a ledger on this machine the file is there and is verified; with one elsewhere it is fetched first.

use std::collections::BTreeSet;

use super::attempt::Hands;
use super::job::{Failure, Job};
use crate::probe::Probe;
use crate::value::Value;

/// How many hexadecimal digits a digest has.
const DIGITS: usize = 64;

/// Has every blob that a step names on this machine.
///
/// # Errors
/// When one cannot be had: the step must not start.
pub(crate) async fn before(job: &Job, hands: &Hands) -> Result<(), Failure> {
    let mut found = BTreeSet::new();
    match job {
        Job::Act(act) => named_in(&act.act.planned, &hands.blobs, &mut found),
        Job::Read { request, .. } => named_in(&request.arguments, &hands.blobs, &mut found),
        Job::Check(check) => {
            if let Probe::Command(command) = &check.probe {
                let texts = command.argv.iter().chain(command.environment.iter().map(|(_, value)| value));
                texts.for_each(|text| within(text, &hands.blobs, &mut found));
            }
        }
        Job::Await { .. } | Job::Pin(_) | Job::Migrate(_) | Job::Revert(_) => {}
    }
    for digest in found {
        hands.journal.fetch(&digest).await.map_err(|e| {
            Failure::not_sent(format!("The artifact's file sha256:{digest} cannot be had from the ledger: {e}."))
        })?;
    }
    Ok(())
}

fn named_in(value: &Value, blobs: &str, found: &mut BTreeSet<String>) {
    if let Some(text) = value.as_str() {
        within(text, blobs, found);
    }
    value.children().for_each(|child| named_in(child, blobs, found));
}

/// The digests of the blobs whose paths stand in a text.
fn within(text: &str, blobs: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(blobs) {
        // `/ab/cdef…`: the first two digits are a directory's name.
        let Some(rest) = text.get(at + blobs.len()..).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let Some((head, tail)) = rest.split_once('/') else { continue };
        let digest = format!("{head}{}", tail.get(..DIGITS - 2).unwrap_or_default());
        let is_digest = head.len() == 2 && digest.len() == DIGITS;
        if is_digest && digest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
            found.insert(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_blobs_are_found_wherever_they_stand() {
        let (one, two) = ("a".repeat(64), "0".repeat(64));
        let path = |digest: &str| format!("../../state/x/blobs/{}/{}", &digest[..2], &digest[2..]);
        let value = Value::object_of([
            ("argv", Value::object_of([("n", Value::string(format!("cp {} /there && x", path(&one))))])),
            ("path", Value::string(path(&two))),
            ("other", Value::string("../../state/x/blobs/aa/short")),
            ("upper", Value::string(path(&"A".repeat(64)))),
            ("elsewhere", Value::string(path(&one).replace("/x/", "/y/"))),
        ]);
        let mut found = BTreeSet::new();
        named_in(&value, "../../state/x/blobs", &mut found);
        assert_eq!(found, BTreeSet::from([two, one]));
        let mut none = BTreeSet::new();
        within("../../state/x/blobs/äö/ü", "../../state/x/blobs", &mut none);
        assert!(none.is_empty());
    }
}
