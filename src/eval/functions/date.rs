//! Date and time functions.

use super::argument::{string, text};
use super::build::{Called, function};
use super::moment::{Moment, duration};
use super::{CallContext, Function, FunctionError};
use crate::eval::Answer;
use crate::value::{Type, Value};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// How many letters of a name its short form has.
const SHORT: usize = 3;

fn a_string(_: &[Type]) -> Type {
    Type::String
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("formatdate", "A timestamp in another layout.", a_string, formatdate)
            .takes("format", Type::String)
            .takes("time", Type::String),
        function("plantimestamp", "The time at which the plan was made.", a_string, |c, _| match c.host.plan_time() {
            Answer::Known(time) => Ok(string(whole_seconds(&time))),
            Answer::Pending => Ok(Value::opaque(Type::String)),
            Answer::Missing(why) => Err(FunctionError::new(why)),
        }),
        function("timeadd", "A timestamp later by a duration.", a_string, |_, a| {
            let moment = Moment::parse(text(&a[0])?).map_err(FunctionError::new)?;
            let later = moment.plus(duration(text(&a[1])?).map_err(FunctionError::new)?);
            Ok(string(later.to_string()))
        })
        .takes("timestamp", Type::String)
        .takes("duration", Type::String),
        function(
            "timecmp",
            "-1, 0 or 1 by which of two timestamps is earlier.",
            |_| Type::Number,
            |_, a| {
                let moment = |i: usize| Moment::parse(text(&a[i])?).map_err(|why| FunctionError::at(i, why));
                Ok(Value::number(moment(0)?.instant().cmp(&moment(1)?.instant()) as i64))
            },
        )
        .takes("timestamp_a", Type::String)
        .takes("timestamp_b", Type::String),
        function("timestamp", "The time, drawn once at apply.", a_string, |c, _| {
            let time = drawn(c, "timestamp");
            Ok(time.as_str().map(|text| string(whole_seconds(text))).unwrap_or(time))
        }),
    ]
}

/// A time in UTC without fractions of a second, as Terraform has it.
fn whole_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{seconds}Z"),
        _ => time.to_owned(),
    }
}

/// A value that is drawn once at apply, filed under the function's name and the place of the call.
pub(super) fn drawn(context: &CallContext<'_>, name: &str) -> Value {
    let what = match (context.number)() {
        0 => format!("{name}:{}", context.site),
        n => format!("{name}:{}#{n}", context.site),
    };
    context.host.draw(&what).unwrap_or_else(|| Value::opaque(Type::String))
}

fn formatdate(_: &CallContext<'_>, args: &[Value]) -> Called {
    let moment = Moment::parse(text(&args[1])?).map_err(|why| FunctionError::at(1, why))?;
    let mut rest = text(&args[0])?;
    let mut out = String::new();
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = quoted(&mut out, &rest[1..])?;
            continue;
        }
        if !c.is_ascii_alphabetic() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let length = rest.find(|other| other != c).unwrap_or(rest.len());
        let (verb, after) = rest.split_at(length);
        let written = write_verb(&mut out, &moment, c, length);
        written.map_err(|why| FunctionError::at(0, format!("invalid date format verb {verb:?}{why}")))?;
        rest = after;
    }
    Ok(string(out))
}

/// Appends the text up to the closing quote, where two quotes are one, and gives what follows.
fn quoted<'f>(out: &mut String, mut rest: &'f str) -> Result<&'f str, FunctionError> {
    loop {
        let (text, after) = rest.split_once('\'').ok_or_else(|| FunctionError::at(0, "unterminated literal '"))?;
        out.push_str(text);
        match after.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Ok(after),
        }
    }
}

fn write_verb(out: &mut String, at: &Moment, verb: char, length: usize) -> Result<(), &'static str> {
    let named = |names: &[&'static str], index: usize| names.get(index).copied().unwrap_or_default();
    let month = named(&MONTHS, usize::try_from(at.month - 1).unwrap_or(0));
    let twelve = if at.hour % 12 == 0 { 12 } else { at.hour % 12 };
    let plain = |n: i64| if length == 1 { n.to_string() } else { format!("{n:02}") };
    let text = match (verb, length) {
        ('Y', 2) => format!("{:02}", at.year % 100),
        ('Y', 4) => format!("{:04}", at.year),
        ('Y', _) => return Err(": year must either be \"YY\" or \"YYYY\""),
        ('M', 1 | 2) => plain(at.month),
        ('M', 3) => month[..SHORT].to_owned(),
        ('M', 4) => month.to_owned(),
        ('M', _) => return Err(": month must be \"M\", \"MM\", \"MMM\", or \"MMMM\""),
        ('D', 1 | 2) => plain(at.day),
        ('D', _) => return Err(": day of month must either be \"D\" or \"DD\""),
        ('E', 3) => named(&WEEKDAYS, at.weekday())[..SHORT].to_owned(),
        ('E', 4) => named(&WEEKDAYS, at.weekday()).to_owned(),
        ('E', _) => return Err(": day of week must either be \"EEE\" or \"EEEE\""),
        ('h', 1 | 2) => plain(at.hour),
        ('h', _) => return Err(": 24-hour must either be \"h\" or \"hh\""),
        ('H', 1 | 2) => plain(twelve),
        ('H', _) => return Err(": 12-hour must either be \"H\" or \"HH\""),
        ('A', 2) => if at.hour < 12 { "AM" } else { "PM" }.to_owned(),
        ('A', _) => return Err(": must be \"AA\""),
        ('a', 2) => if at.hour < 12 { "am" } else { "pm" }.to_owned(),
        ('a', _) => return Err(": must be \"aa\""),
        ('m', 1 | 2) => plain(at.minute),
        ('m', _) => return Err(": minute must either be \"m\" or \"mm\""),
        ('s', 1 | 2) => plain(at.second),
        ('s', _) => return Err(": second must either be \"s\" or \"ss\""),
        ('Z', 1) if at.offset == 0 => "Z".to_owned(),
        ('Z', 3) if at.offset == 0 => "UTC".to_owned(),
        ('Z', 1 | 5) => at.offset_text(":"),
        ('Z', 3 | 4) => at.offset_text(""),
        ('Z', _) => return Err(": timezone must be Z, ZZZZ, or ZZZZZ"),
        _ => return Err(""),
    };
    out.push_str(&text);
    Ok(())
}
