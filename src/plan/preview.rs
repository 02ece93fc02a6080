//! What a target would make of a change, asked while planning.
//!
//! A preview can turn a change into none (the target normalises the difference away), into a replacement (it refuses to change a
//! field of what stands), or into an error with its place in the configuration, before anything was touched. What cannot be
//! previewed (its namespace comes with this very plan, the credentials only read) is planned by its configuration, and says so.

use super::change::{Change, ChangeKind, Detail, Previewed, Reason};
use super::fact::{Fact, Question};
use super::walk::{BlockInstance, Planner};
use crate::diag::{Diagnostic, Span};
use crate::eval::{Term, TermKind};
use crate::provider::{AttributeSchema, Preview, PreviewRequest, Prior, ResourceSchema};
use crate::value::Value;

impl Planner<'_> {
    /// Asks the target about a change, and takes its answer in.
    pub(super) fn preview(&self, one: &BlockInstance<'_>, schema: &ResourceSchema, change: &mut Change) {
        self.replaces_nothing_kept(one, schema, change);
        let options = self.world.inputs.options;
        let asked = schema.previews && options.refresh && !options.hollow && options.limit.is_none();
        if !asked || !matches!(change.kind, ChangeKind::Create | ChangeKind::Update) && !change.kind.is_replace() {
            return;
        }
        let Some(planned) = change.after.clone() else { return };
        let settable = |name: &str| schema.attributes.get(name).is_none_or(AttributeSchema::settable);
        let known = planned.as_map().is_some_and(|all| all.iter().all(|(n, v)| !settable(n) || v.is_wholly_known()));
        let Detail::Resource(detail) = &mut change.detail else { return };
        if !known {
            detail.preview = Some(Previewed::Not("It is made of values that are known after apply.".into()));
            return;
        }
        let request = PreviewRequest {
            provider: detail.provider.clone(),
            address: one.address.clone(),
            ty: schema.ty.to_owned(),
            planned,
            prior: detail.prior.clone().filter(|_| !change.kind.is_replace()),
        };
        let Some(Fact::Previewed(preview)) = self.world.ask(Question::Preview(Box::new(request))) else { return };
        match preview {
            Preview::Would(notes) => detail.preview = Some(Previewed::Yes(notes.clone())),
            Preview::NotTold(why) => detail.preview = Some(Previewed::Not(why.clone())),
            Preview::Refused(all) => {
                for (path, sentence) in all {
                    self.world.report(refused(one, path.as_deref(), sentence));
                }
            }
            Preview::Same => {
                let only =
                    matches!(change.reason, Reason::ConfigurationChanged | Reason::Drifted | Reason::NotKnownYet);
                if change.kind == ChangeKind::Update && only && detail.leftovers.is_empty() {
                    let inputs = detail.inputs.clone();
                    change.kind = ChangeKind::NoOp;
                    change.reason = Reason::UpToDate;
                    change.differs.clear();
                    keep(change, inputs);
                }
            }
            Preview::Replace(why) if change.kind == ChangeKind::Update => {
                change.kind = match self.creates_first(one) {
                    true => ChangeKind::ReplaceCreateFirst,
                    false => ChangeKind::ReplaceDeleteFirst,
                };
                change.reason = Reason::MustReplace(why.clone());
                change.after = change.after.take().map(|after| afresh(one, schema, &after));
                self.replaces_nothing_kept(one, schema, change);
            }
            Preview::Replace(why) => self.world.report(refused(one, None, why)),
        }
    }
}

impl Planner<'_> {
    /// What is kept when it goes is not replaced by the way.
    fn replaces_nothing_kept(&self, one: &BlockInstance<'_>, schema: &ResourceSchema, change: &Change) {
        let Some(before) = change.before.as_ref().filter(|_| change.kind.is_replace()) else { return };
        if let Some(why) = schema.kept.and_then(|kept| kept(before)) {
            let detail = format!(
                "{} would be replaced, and the object that stands is {why}. Write keep = false to have it replaced, or give the \
                 new object another name.",
                one.address
            );
            let diagnostic = Diagnostic::error("Object is kept", detail).at(one.block.span);
            self.world.report(diagnostic.on(&one.address));
        }
    }
}

/// What stands is what stays.
fn keep(change: &mut Change, inputs: Value) {
    if let Detail::Resource(detail) = &mut change.detail {
        detail.inputs = inputs;
        change.after = detail.prior.as_ref().map(|Prior { attributes, .. }| attributes.clone());
    }
}

/// The object that is asked for, for a new one: what its target answers is not known yet.
fn afresh(one: &BlockInstance<'_>, schema: &ResourceSchema, after: &Value) -> Value {
    let Some(all) = after.as_map() else { return after.clone() };
    let of = |(name, value): (&std::sync::Arc<str>, &Value)| {
        let computed = schema.attributes.get(&**name).filter(|a| !a.settable());
        let value = match computed {
            Some(attribute) => super::result::attribute(&one.address, name, attribute.ty.clone()),
            None => value.clone(),
        };
        (name.clone(), value)
    };
    Value::object(all.iter().map(of).collect())
}

fn refused(one: &BlockInstance<'_>, path: Option<&str>, sentence: &str) -> Diagnostic {
    let manifest = one.block.body.attributes.get("manifest");
    let span = manifest
        .map_or(one.block.span, |attribute| path.map_or(attribute.term.span, |path| place(&attribute.term, path)));
    let diagnostic = Diagnostic::error("Target refuses the change", sentence.to_owned()).at(span).on(&one.address);
    diagnostic.hint("Nothing was changed. The target was asked what it would make of it, and this is its answer.")
}

/// The place of a target's path (`spec.template.spec.containers[0].image`) in the expression that gives the object, as far as it is
/// written out there.
pub(super) fn place(term: &Term, path: &str) -> Span {
    let mut at = term;
    for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']').trim_matches('"')) {
        let below = match &at.kind {
            TermKind::Object(items) => items.iter().find_map(|item| match &item.key.kind {
                TermKind::Literal(key) if key.as_str() == Some(step) => Some(&item.value),
                _ => None,
            }),
            TermKind::Tuple(items) => step.parse::<usize>().ok().and_then(|n| items.get(n)),
            _ => None,
        };
        match below {
            Some(below) => at = below,
            None => break,
        }
    }
    at.span
}
