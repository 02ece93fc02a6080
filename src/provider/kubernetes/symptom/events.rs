//! Reading events: whom they are about, how fresh they are, how often they came.
//!
//! An event outlives what it tells of by an hour. So no symptom rests on an event alone: the object itself has to be in the
//! state that the event explains, and where objects do not show it (a StatefulSet that cannot make pods), the event has to be
//! of the last minute.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::look::{kind, name, number, text};

/// How old an event may be that stands for something of now. Controllers repeat a failed creation with growing pauses; the
/// first ten repetitions are within 10 s (5 ms doubled), and the pause passes a minute after the fourteenth.
pub(super) const FRESH: i64 = 60;

/// Whether an event is about that object.
pub(crate) fn is_about(event: &Json, object: &Json) -> bool {
    let involved = involved(event);
    let uid = text(involved, "/uid");
    if !uid.is_empty() {
        return uid == text(object, "/metadata/uid");
    }
    text(involved, "/kind") == kind(object) && text(involved, "/name") == name(object)
}

/// What an event is about: `involvedObject` in core v1, `regarding` in events.k8s.io.
fn involved(event: &Json) -> &Json {
    event.get("involvedObject").or_else(|| event.get("regarding")).unwrap_or(&Json::Null)
}

/// The container that an event is about, if it names one: `spec.containers{app}`.
pub(super) fn container(event: &Json) -> Option<&str> {
    text(involved(event), "/fieldPath").split_once('{')?.1.strip_suffix('}')
}

/// What an event says.
pub(crate) fn message(event: &Json) -> &str {
    let message = text(event, "/message");
    if message.is_empty() { text(event, "/note") } else { message }
}

/// When an event was last seen.
pub(crate) fn last(event: &Json) -> Option<Timestamp> {
    [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/deprecatedLastTimestamp",
        "/eventTime",
        "/firstTimestamp",
        "/metadata/creationTimestamp",
    ]
    .into_iter()
    .filter_map(|at| text(event, at).parse::<Timestamp>().ok())
    .max()
}

/// When it was first seen.
pub(super) fn first(event: &Json) -> Option<Timestamp> {
    ["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .into_iter()
        .find_map(|at| text(event, at).parse().ok())
}

/// How often it came.
pub(crate) fn times(event: &Json) -> u32 {
    let counted = ["/count", "/series/count", "/deprecatedCount"].into_iter().filter_map(|at| number(event, at)).max();
    u32::try_from(counted.unwrap_or(1).max(1)).unwrap_or(u32::MAX)
}

/// Whether it was seen within the last minute. Clocks differ: one that seems to come from the future is fresh.
pub(super) fn is_fresh(event: &Json, now: Timestamp) -> bool {
    last(event).is_some_and(|last| now.as_second() - last.as_second() <= FRESH)
}

/// The latest event about an object with one of these reasons.
pub(super) fn latest<'a>(events: &'a [Json], object: &Json, reasons: &[&str]) -> Option<&'a Json> {
    events
        .iter()
        .filter(|event| reasons.contains(&text(event, "/reason")) && is_about(event, object))
        .max_by_key(|event| last(event))
}
