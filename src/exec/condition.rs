//! Judging the conditions that a plan left open, with what its steps have answered.

use super::request::finish_all;
use super::results::RunResults;
use crate::addr::Address;
use crate::plan::condition::{Conditions, OpenCondition};
use crate::value::Value;

/// Why a step must not start: a condition of its node or of its module that is known by now and does not hold.
pub(super) fn broken_before(conditions: &Conditions, address: &Address, results: &RunResults) -> Option<String> {
    conditions.before(address).find_map(|one| {
        let holds = finish_all(&one.condition, results).ok()?;
        (holds.as_bool() != Some(true)).then(|| sentence(one, results))
    })
}

/// A condition that does not hold as far as everything is known by now; in the end, also one that cannot be judged.
pub(super) fn broken(conditions: &Conditions, results: &RunResults, in_the_end: bool) -> Option<String> {
    conditions.all().find_map(|one| match finish_all(&one.condition, results) {
        Ok(holds) => (holds.as_bool() != Some(true)).then(|| sentence(one, results)),
        Err(e) => in_the_end.then(|| format!("{} ({}): {}", one.summary, one.place, e.detail)),
    })
}

fn sentence(one: &OpenCondition, results: &RunResults) -> String {
    let message = finish_all(&one.message, results).ok().filter(|m| !m.marks_deep().is_sensitive());
    let message = message.as_ref().and_then(Value::as_str).unwrap_or("its message cannot be shown");
    format!("{} ({}): {message}", one.summary, one.place)
}
