//! Drift: what is there against what the ledger says of it. Nothing here asks what the configuration wants, so that a change
//! that is only pending is never taken for drift.

use crate::addr::Address;
use crate::ledger::acknowledged::OfObject;
use crate::ledger::record::Record;
pub use crate::provider::Author;
use crate::provider::{Observation, Prior, Readiness, ResourceSchema};
use crate::value::{DecodeError, Opener, Path, PathStep, Seal, Value, convert, decode, open_sealed};

use super::compare::{align, differences};

/// How an object stands to its record.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// As it was recorded, and it does what it is there for.
    AsRecorded,
    /// Its attributes are others.
    Changed {
        /// All of them as they are.
        observed: Value,
        /// Where they differ from the record. Never empty.
        differs: Vec<Path>,
    },
    /// It is not there any more.
    Gone,
    /// As it was recorded, but it does not do what it is there for; a sentence says what is missing.
    NotReady(String),
    /// It could not be looked at; a sentence says why.
    Unreadable(String),
}

/// One object of an environment, looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its address.
    pub address: Address,
    /// The provider of its type.
    pub provider: String,
    /// It as it was recorded, with the marks that its type asks for.
    pub recorded: Value,
    /// How it stands.
    pub standing: Standing,
    /// What of it drifted, part by part, with digests that tell one drift from the next.
    pub parts: Vec<Part>,
    /// The acknowledgements of what is known of it.
    pub known: Vec<Known>,
    /// Who changed it, where its target can tell. None of this machine's can.
    pub changed_by: Vec<Author>,
}

/// A part of an object that drifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The way to it; empty for the object as a whole, where it is gone or not ready.
    pub path: String,
    /// A keyed digest of what it is now.
    pub digest: String,
    /// Whether somebody acknowledged just this, and no alarm is wanted.
    pub known: bool,
}

/// An acknowledgement that is about what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The part; empty for all that differs.
    pub path: String,
    /// Why it is no alarm.
    pub reason: String,
    /// Until when, RFC 3339.
    pub expires: String,
    /// Who said so.
    pub actor: String,
}

/// Whether a part of an object is a certain part or in it; everything is in the whole.
#[must_use]
pub fn is_within(part: &str, path: &str) -> bool {
    path.is_empty() || part.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Marks the parts that are known, and gives the acknowledgements that they are known by. One whose time is over, or that is about
/// something else than what is there now, counts for nothing. Both times are RFC 3339.
pub fn recognise(parts: &mut [Part], all: &OfObject, now: &str, seal: Seal<'_>) -> Vec<Known> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let mut found = Vec::new();
    for (path, one) in all {
        let over = time(&one.expires).zip(time(now)).is_none_or(|(expires, now)| expires <= now);
        let meant = |part: &&Part| is_within(&part.path, path);
        if over || !parts.iter().any(|p| meant(&p)) || digest_of(parts.iter().filter(meant), seal) != one.digest {
            continue;
        }
        parts.iter_mut().filter(|p| is_within(&p.path, path)).for_each(|part| part.known = true);
        found.push(Known {
            path: path.clone(),
            reason: one.reason.clone(),
            expires: one.expires.clone(),
            actor: one.actor.clone(),
        });
    }
    found
}

/// What drifted of an object, part by part. Where it is not ready, why is left out of the digest: the sentence may have a time or
/// a count in it, and nobody wants to hear of the same outage twice.
#[must_use]
pub fn parts(standing: &Standing, seal: Seal<'_>) -> Vec<Part> {
    let whole = |word: &str| vec![Part { path: String::new(), digest: seal(word.as_bytes()), known: false }];
    match standing {
        Standing::AsRecorded | Standing::Unreadable(_) => Vec::new(),
        Standing::Gone => whole("gone"),
        Standing::NotReady(_) => whole("not ready"),
        Standing::Changed { observed, differs } => differs
            .iter()
            .map(|path| {
                let now = at(observed, path).map(|value| crate::value::encode(value, seal));
                let text = serde_json::json!([path.to_string(), now]).to_string();
                Part { path: path.to_string(), digest: seal(text.as_bytes()), known: false }
            })
            .collect(),
    }
}

/// One digest for several parts.
#[must_use]
pub fn digest_of<'p>(parts: impl IntoIterator<Item = &'p Part>, seal: Seal<'_>) -> String {
    let all: Vec<[&str; 2]> = parts.into_iter().map(|part| [&*part.path, &*part.digest]).collect();
    seal(serde_json::json!(all).to_string().as_bytes())
}

fn at<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    path.0.iter().try_fold(value, |value, step| match step {
        PathStep::Attribute(name) | PathStep::Key(name) => value.as_map()?.get(name),
        PathStep::Index(n) => value.as_items()?.get(*n),
        PathStep::Element => None,
    })
}

impl Finding {
    /// Whether it is there in another way than it was left, or not at all.
    #[must_use]
    pub fn differs(&self) -> bool {
        matches!(self.standing, Standing::Changed { .. } | Standing::Gone | Standing::NotReady(_))
    }

    /// Whether somebody should look at it: it differs in what nobody acknowledged.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        self.differs() && !self.is_acknowledged()
    }

    /// Whether it differs, and all of that is acknowledged.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.differs() && !self.parts.is_empty() && self.parts.iter().all(|part| part.known)
    }

    /// Whether nobody knows.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self.standing, Standing::Unreadable(_))
    }
}

/// What a look at an environment found.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The environment's name.
    pub environment: String,
    /// The newest verified generation; `None` where there is none.
    pub generation: Option<u64>,
    /// The run that has not ended, if there is one: what it has done so far may not be recorded yet.
    pub open: Option<String>,
    /// All objects, by address.
    pub findings: Vec<Finding>,
}

impl Drift {
    /// What drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_drift())
    }

    /// What differs and is known.
    pub fn acknowledged(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_acknowledged())
    }

    /// What could not be looked at.
    pub fn unreadable(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_unreadable())
    }
}

/// What a record says of its object, with secrets opened where that can be.
///
/// # Errors
/// When it was written by another schema and cannot be read by this one.
pub fn recorded(
    record: &Record,
    schema: &ResourceSchema,
    seal: Seal<'_>,
    opener: &dyn Opener,
) -> Result<Value, DecodeError> {
    let attributes = decode(&record.attributes, &schema.object_type())?;
    Ok(open_sealed(&attributes, seal, opener))
}

/// What the provider is asked about.
#[must_use]
pub fn prior(record: &Record, recorded: &Value) -> Prior {
    Prior { attributes: recorded.clone(), identity: record.identity.clone() }
}

/// The object as observed, in the form of the record, and where the two differ. Attributes that take no part in comparisons are
/// left out.
pub(super) fn against(
    schema: &ResourceSchema,
    recorded: &Value,
    attributes: &Value,
    seal: Seal<'_>,
) -> (Value, Vec<Path>) {
    let attributes = convert(attributes, &schema.object_type()).unwrap_or_else(|_| attributes.clone());
    let observed = align(&attributes, recorded);
    let mut differs = Vec::new();
    differences(recorded, &observed, &Path::default(), seal, &mut differs);
    differs.retain(|path| !is_ignored(schema, path));
    (observed, differs)
}

/// Whether an attribute takes no part in comparisons.
pub(super) fn is_ignored(schema: &ResourceSchema, path: &Path) -> bool {
    let Some(name) = path.root() else { return false };
    schema.attributes.get(name).is_some_and(|a| a.ignored) || schema.blocks.get(name).is_some_and(|b| b.ignored)
}

/// An object with those of its answered attributes that take no part in comparisons as another has them: for showing the two side by
/// side.
pub(super) fn alike_where_ignored(schema: &ResourceSchema, object: &Value, other: &Value) -> Value {
    let Some(all) = object.as_map() else { return object.clone() };
    let mut out = all.clone();
    for (name, _) in schema.attributes.iter().filter(|(_, a)| a.ignored && !a.settable()) {
        if let Some(value) = other.get(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    Value::object(out).mark(object.marks)
}

/// How an object stands to its record.
#[must_use]
pub fn standing(schema: &ResourceSchema, recorded: &Value, observation: &Observation, seal: Seal<'_>) -> Standing {
    match observation {
        Observation::Absent => Standing::Gone,
        Observation::Unreadable(why) => Standing::Unreadable(why.clone()),
        Observation::Present { attributes, readiness } => {
            let (observed, differs) = against(schema, recorded, attributes, seal);
            match readiness {
                _ if !differs.is_empty() => {
                    let observed = alike_where_ignored(schema, &observed, recorded);
                    Standing::Changed { observed: schema.marked(&observed), differs }
                }
                Readiness::Ready => Standing::AsRecorded,
                Readiness::Pending(why) | Readiness::Failed(why) => Standing::NotReady(why.clone()),
            }
        }
    }
}
