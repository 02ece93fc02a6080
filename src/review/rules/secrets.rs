//! What a schema calls sensitive carries the mark.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plan::{AttributeSchema, BlockSchema, ResourceSchema, Work};
use crate::review::finding::Findings;
use crate::review::subject::Subject;
use crate::value::{Kind, Value};

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    for change in &subject.plan.changes {
        let Some(schema) = subject.plan.schemas.get(&*change.address.ty).filter(|s| has_secrets(s)) else { continue };
        let mut places = vec![("object", change.before.as_ref()), ("object", change.after.as_ref())];
        if let Some(detail) = change.resource() {
            places.push(("inputs", Some(&detail.inputs)));
            places.push(("prior object", detail.prior.as_ref().map(|p| &p.attributes)));
        }
        for n in subject.steps_of(&change.address) {
            match &subject.step(*n).work {
                Work::Act(act) => {
                    places.push(("planned object", Some(&act.planned)));
                    places.push(("inputs", Some(&act.inputs)));
                    places.push(("prior object", act.prior.as_ref().map(|p| &p.attributes)));
                }
                Work::Record(observed) => places.push(("observed object", Some(observed))),
                Work::Read { arguments, .. } => places.push(("arguments", Some(arguments))),
                _ => {}
            }
        }
        let open = places
            .into_iter()
            .find_map(|(place, value)| unmarked(value?, &schema.attributes, &schema.blocks).map(|name| (place, name)));
        if let Some((place, name)) = open {
            found.bug(
                &change.address,
                &format!("\"{name}\" is sensitive, but is not marked so in the {place} of {}", change.address),
            );
        }
    }
    for (change, detail) in subject.migrations() {
        let urls = subject.steps_of(&change.address).iter().filter_map(|n| match &subject.step(*n).work {
            Work::Migrate { url, .. } | Work::Revert { url, .. } => Some(url),
            _ => None,
        });
        let object = change.after.as_ref().and_then(|v| v.get("url"));
        if urls.chain([&detail.url]).chain(object).any(is_open) {
            found.bug(
                &change.address,
                &format!("the database's URL is sensitive, but is not marked so in {}", change.address),
            );
        }
    }
    for (name, output) in &subject.plan.outputs {
        let secret = output.after.as_ref().is_some_and(|v| v.marks_deep().is_sensitive());
        if secret
            && !output.sensitive
            && let Some(change) = subject.plan.changes.first()
        {
            found.bug(&change.address, &format!("the output \"{name}\" is sensitive, but would be shown"));
        }
    }
}

/// Whether a value could be shown.
fn is_open(value: &Value) -> bool {
    !value.is_null() && !value.marks.is_sensitive()
}

fn has_secrets(schema: &ResourceSchema) -> bool {
    fn within(attributes: &BTreeMap<Arc<str>, AttributeSchema>, blocks: &BTreeMap<Arc<str>, BlockSchema>) -> bool {
        attributes.values().any(|a| a.sensitive) || blocks.values().any(|b| within(&b.attributes, &b.blocks))
    }
    within(&schema.attributes, &schema.blocks)
}

/// The first sensitive attribute of an object whose value is not marked.
fn unmarked<'s>(
    object: &Value,
    attributes: &'s BTreeMap<Arc<str>, AttributeSchema>,
    blocks: &'s BTreeMap<Arc<str>, BlockSchema>,
) -> Option<&'s str> {
    if object.marks.is_sensitive() {
        return None;
    }
    let mut secret = attributes.iter().filter(|(_, a)| a.sensitive).map(|(name, _)| &**name);
    secret.find(|name| object.get(name).is_some_and(is_open)).or_else(|| {
        blocks.iter().find_map(|(name, block)| {
            let value = object.get(name).filter(|v| !v.marks.is_sensitive())?;
            let inside = |one: &Value| unmarked(one, &block.attributes, &block.blocks);
            match &value.kind {
                Kind::Object(_) => inside(value),
                _ => value.children().find_map(inside),
            }
        })
    })
}
