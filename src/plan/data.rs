//! Deciding about data sources and artifacts.

use super::body::{self, Shape};
use super::builtin;
use super::change::{Change, ChangeKind, Detail, Reason};
use super::fact::{Fact, Question};
use super::result;
use super::schema_gate::{Asked, Ranges};
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use crate::diag::{Diagnostic, did_you_mean};
use crate::ledger::record::Pin;
use crate::provider::{ReadRequest, Role};
use crate::value::{Type, Value};

/// The type of an artifact's object.
pub(super) fn artifact_type() -> Type {
    Type::object([
        ("image", Type::String),
        ("file", Type::String),
        ("digest", Type::String),
        ("tag", Type::String),
        ("path", Type::String),
        ("size", Type::Number),
    ])
}

impl Planner<'_> {
    /// A data source: read while planning where its arguments are known, else a step.
    pub(super) fn data(&mut self, one: &BlockInstance<'_>) -> Value {
        let catalog = self.world.inputs.catalog;
        let Some(schema) = catalog.get(Role::Data, &one.block.ty) else {
            let detail = format!("No provider that this Gantry has knows the data source \"{}\".", one.block.ty);
            let hint = did_you_mean(&one.block.ty, catalog.names(Role::Data));
            self.world.report(Diagnostic::error("Unknown data source", detail).at(one.block.span).hint_opt(hint));
            return Value::opaque(Type::Any);
        };
        if self.world.inputs.options.to_nothing {
            return Value::opaque(schema.object_type());
        }
        self.preconditions(one);
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let shape = Shape { attributes: &schema.attributes, blocks: &schema.blocks };
        let what = format!("a data source of type \"{}\"", schema.ty);
        let arguments = body::evaluate(&one.block.body, shape, &scope, &what, &one.address);
        self.nothing_ephemeral(one, &arguments);
        let waits = !one.block.depends_on.is_empty() && self.needs_changes(one.id);
        if arguments_known(&arguments, schema) && !waits {
            let provider = self.configuration_of(one.instance, Role::Data, schema.ty, one.block.provider.as_ref());
            let request = ReadRequest { provider, address: one.address.clone(), ty: schema.ty.to_owned(), arguments };
            return match self.world.ask(Question::Read(Box::new(request))) {
                Some(Fact::Read(Ok(value))) => value.clone(),
                Some(Fact::Read(Err(why))) => {
                    let summary = "Cannot read data source";
                    // In a check block it tells about the world, and fails nothing.
                    let diagnostic = match &one.block.check {
                        Some(_) => Diagnostic::warning(summary, why.clone()),
                        None => Diagnostic::error(summary, why.clone()),
                    };
                    self.world.report(diagnostic.at(one.block.span).on(&one.address));
                    Value::opaque(schema.object_type())
                }
                _ => Value::opaque(schema.object_type()),
            };
        }
        let value = result::whole(&one.address, schema.object_type());
        let provider = self.configuration_of(one.instance, Role::Data, schema.ty, one.block.provider.as_ref());
        let reason = if waits { Reason::DependsOnChange } else { Reason::NotKnownYet };
        let change = Change {
            after: Some(arguments),
            detail: Detail::Data { provider, lenient: one.block.check.is_some() },
            ..bare(one, ChangeKind::Read, reason)
        };
        self.decide(one.id, change);
        value
    }

    /// An artifact: fixed to its content when planned, or when the step has run that makes it.
    pub(super) fn artifact(&mut self, one: &BlockInstance<'_>) -> Value {
        let (attributes, blocks) = builtin::artifact();
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let shape = Shape { attributes: &attributes, blocks: &blocks };
        let (bare_body, schemas) = super::schema_gate::apart(&one.block.body);
        let object = body::evaluate(&bare_body, shape, &scope, &"an artifact", &one.address);
        let ranges = self.schema_ranges(one, &schemas, &scope);
        self.commit_time(one, &object);
        self.nothing_ephemeral(one, &object);
        let (image, file) = (object.get("image").cloned(), object.get("file").cloned());
        let (kind, source) = match (image.filter(|v| !v.is_null()), file.filter(|v| !v.is_null())) {
            (Some(image), None) => ("image", image),
            (None, Some(file)) => ("file", file),
            _ => {
                let detail = "An artifact has exactly one of \"image\" and \"file\".";
                self.world.report(Diagnostic::error("Invalid artifact", detail).at(one.block.span).on(&one.address));
                return Value::opaque(artifact_type());
            }
        };
        let recorded = self.world.inputs.recorded.pins.get(&one.address).cloned();
        let options = self.world.inputs.options;
        if options.to_nothing {
            return recorded.map_or_else(|| Value::opaque(artifact_type()), |pin| self.pinned(&pin));
        }
        if self.left_alone(one)
            && let Some(pin) = &recorded
        {
            let value = self.pinned(pin);
            self.decide(
                one.id,
                Change {
                    before: Some(value.clone()),
                    after: Some(value.clone()),
                    ..bare(one, ChangeKind::NoOp, Reason::UpToDate)
                },
            );
            return value;
        }
        if let Some(named) = options.artifacts.get(&one.address) {
            let reference = Value::string(named.reference.as_str());
            return self.pin_now(one, (kind, &reference), ranges, recorded.as_ref());
        }
        if let Some(promoted) = self.promoted(one, recorded.as_ref()) {
            return promoted;
        }
        if let Some(pin) = options.pins.get(&one.address).cloned() {
            return self.pin_again(one, recorded.as_ref(), &pin, Reason::TakenBack);
        }
        if source.is_wholly_known() && !self.needs_changes(one.id) {
            return self.pin_now(one, (kind, &source), ranges, recorded.as_ref());
        }
        self.asks(one, ranges);
        let value = result::whole(&one.address, artifact_type());
        let shown = unfinished(one, kind, &source);
        let before = recorded.as_ref().map(|pin| self.pinned(pin));
        let change = Change { before, after: Some(shown), ..bare(one, ChangeKind::Run, Reason::DependsOnChange) };
        self.decide(one.id, change);
        value
    }

    /// A pin of an earlier generation holds.
    pub(super) fn pin_again(
        &mut self,
        one: &BlockInstance<'_>,
        recorded: Option<&Pin>,
        pin: &Pin,
        why: Reason,
    ) -> Value {
        self.asks(one, pin.schema.clone());
        let value = self.pinned(pin);
        let before = recorded.map(|pin| self.pinned(pin));
        let same = recorded.is_some_and(|old| old.is_same(pin));
        let (kind, reason) = if same { (ChangeKind::NoOp, Reason::UpToDate) } else { (ChangeKind::Run, why) };
        self.decide(one.id, Change { before, after: Some(value.clone()), ..bare(one, kind, reason) });
        value
    }

    /// Notes when the newest commit in an artifact was made: what lead times are counted from.
    fn commit_time(&mut self, one: &BlockInstance<'_>, object: &Value) {
        let Some(text) = object.get_str("committed") else { return };
        if text.parse::<jiff::Timestamp>().is_ok() {
            self.committed.insert(one.address.clone(), text.to_owned());
            return;
        }
        let span = one.block.body.attributes.get("committed").map_or(one.block.span, |a| a.term.span);
        let detail = format!(
            "\"committed\" is the time of the newest commit that the artifact was built from, as in \"2026-11-21T12:00:00Z\", and \"{text}\" is none."
        );
        let wrong = Diagnostic::error("Invalid argument value", detail).at(span).on(&one.address);
        self.world.report(wrong.hint("git log -1 --format=%cI prints it."));
    }

    /// Notes on which schemas an artifact runs.
    fn asks(&mut self, one: &BlockInstance<'_>, ranges: Ranges) {
        if !ranges.is_empty() {
            self.schemas.push(Asked { artifact: one.address.clone(), span: one.block.span, ranges });
        }
    }

    fn pin_now(
        &mut self,
        one: &BlockInstance<'_>,
        (kind, source): (&str, &Value),
        ranges: Ranges,
        recorded: Option<&Pin>,
    ) -> Value {
        self.asks(one, ranges.clone());
        let text = source.as_str().unwrap_or_default().to_owned();
        let address = one.address.clone();
        let question = match kind {
            "image" => Question::Image { address, reference: text.clone() },
            _ => Question::FileDigest { address, path: text.clone() },
        };
        let Some(Fact::Digest(answer)) = self.world.ask(question) else { return Value::opaque(artifact_type()) };
        let (digest, size) = match answer {
            Ok(found) => found.clone(),
            Err(why) => {
                let diagnostic = Diagnostic::error("Artifact not found", why.clone());
                self.world.report(diagnostic.at(one.block.span).on(&one.address));
                return Value::opaque(artifact_type());
            }
        };
        let (source, tag) = if kind == "image" { split_image(&text) } else { (text, None) };
        let committed = self.committed.get(&one.address).cloned();
        let pin = Pin { kind: kind.to_owned(), digest, source, tag, size, schema: ranges, committed };
        // What is the same is not deployed again because its history is told in another way.
        let pin = recorded.filter(|old| old.is_same(&pin)).cloned().unwrap_or(pin);
        let value = self.pinned(&pin);
        let before = recorded.map(|pin| self.pinned(pin));
        let (kind, reason) = match recorded {
            Some(old) if *old == pin => (ChangeKind::NoOp, Reason::UpToDate),
            Some(_) => (ChangeKind::Run, Reason::ConfigurationChanged),
            None => (ChangeKind::Run, Reason::New),
        };
        self.decide(one.id, Change { before, after: Some(value.clone()), ..bare(one, kind, reason) });
        value
    }

    /// The object of an artifact that is fixed.
    pub(super) fn pinned(&self, pin: &Pin) -> Value {
        pinned(pin, self.world.inputs.blobs)
    }
}

/// The object of an artifact that is fixed; `blobs` is the directory that the ledger keeps files in.
#[must_use]
pub fn pinned(pin: &Pin, blobs: &str) -> Value {
    let none = || Value::null(Type::String);
    let text = |t: &Option<String>| t.as_deref().map_or_else(none, Value::string);
    let is_file = pin.kind == "file";
    let hex = pin.digest.strip_prefix("sha256:").unwrap_or(&pin.digest);
    let path = match hex.split_at_checked(2) {
        Some((head, tail)) if is_file => Value::string(format!("{blobs}/{head}/{tail}")),
        _ => none(),
    };
    let image = if is_file { none() } else { Value::string(format!("{}@{}", pin.source, pin.digest)) };
    let size = pin.size.and_then(|s| i64::try_from(s).ok()).map_or_else(|| Value::null(Type::Number), Value::number);
    Value::object_of([
        ("image", image),
        ("file", if is_file { Value::string(pin.source.as_str()) } else { none() }),
        ("digest", Value::string(pin.digest.as_str())),
        ("tag", text(&pin.tag)),
        ("path", path),
        ("size", size),
    ])
}

/// The object of an artifact that is not fixed yet, for showing.
pub(super) fn unfinished(one: &BlockInstance<'_>, kind: &str, source: &Value) -> Value {
    let later = |name: &str, ty: Type| result::attribute(&one.address, name, ty);
    let none = || Value::null(Type::String);
    let is_file = kind == "file";
    Value::object_of([
        ("image", if is_file { none() } else { later("image", Type::String) }),
        ("file", if is_file { source.clone() } else { none() }),
        ("digest", later("digest", Type::String)),
        ("tag", if is_file { none() } else { later("tag", Type::String) }),
        ("path", if is_file { later("path", Type::String) } else { none() }),
        ("size", if is_file { later("size", Type::Number) } else { Value::null(Type::Number) }),
        // What the step needs: the reference as configured.
        ("source", source.clone()),
    ])
}

/// `registry/repository:tag` in its two halves; a digest behind `@` is no tag.
fn split_image(reference: &str) -> (String, Option<String>) {
    let without_digest = reference.split('@').next().unwrap_or(reference);
    let slash = without_digest.rfind('/').map_or(0, |n| n + 1);
    match without_digest[slash..].find(':') {
        Some(colon) => {
            let at = slash + colon;
            (without_digest[..at].to_owned(), Some(without_digest[at + 1..].to_owned()))
        }
        None => (without_digest.to_owned(), None),
    }
}

fn arguments_known(arguments: &Value, schema: &crate::provider::ResourceSchema) -> bool {
    let settable = |name| schema.attributes.get(name).is_some_and(crate::provider::AttributeSchema::settable);
    arguments.as_map().is_some_and(|m| {
        m.iter().all(|(name, v)| v.is_wholly_known() || !(settable(name) || schema.blocks.contains_key(&**name)))
    })
}

/// A change without its objects.
pub(super) fn bare(one: &BlockInstance<'_>, kind: ChangeKind, reason: Reason) -> Change {
    Change {
        address: one.address.clone(),
        moved_from: None,
        importing: None,
        kind,
        reason,
        before: None,
        after: None,
        differs: Vec::new(),
        replaces: Vec::new(),
        drift: None,
        detail: Detail::Artifact,
        span: Some(one.block.span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reference_falls_into_its_halves() {
        for (text, repository, tag) in [
            ("shop", "shop", None),
            ("r.example.com:5000/shop", "r.example.com:5000/shop", None),
            ("r.example.com:5000/shop:1.2", "r.example.com:5000/shop", Some("1.2")),
            ("shop:1@sha256:ab", "shop", Some("1")),
        ] {
            assert_eq!(split_image(text), (repository.to_owned(), tag.map(str::to_owned)), "{text}");
        }
    }
}
