//! Nodes: resources, data sources, artifacts, migrations and checks.

use std::sync::Arc;

use super::names::ROOTS;
use super::{check, lifecycle, read};
use crate::addr::NodeKind;
use crate::config::desired::{BlockBody, Body, Dynamic, Lifecycle, NodeBlock, Repetition};
use crate::config::schema::{META, MIGRATION_BY_TOOL, PROBES, Shape};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::eval::TermKind;

/// Reads a node's block, whose labels were checked.
pub(super) fn node(kind: NodeKind, block: BlockBody, shape: &Shape, errors: &mut Diagnostics) -> NodeBlock {
    let BlockBody { labels, mut body, span, .. } = block;
    let name = labels.last().cloned().unwrap_or_default();
    let ty = if labels.len() == 2 { labels[0].clone() } else { "".into() };
    if ROOTS.contains(&&*ty) {
        let detail =
            format!("\"{ty}\" has a meaning of its own in references, so no resource type can have this name.");
        errors.push(Diagnostic::error("Invalid resource type", detail).at(span));
    }
    let repeats = kind != NodeKind::Check;
    let repetition = if repeats { repetition(&mut body, errors) } else { Repetition::Single };
    let depends_on = body.attributes.remove("depends_on").filter(|_| repeats);
    let depends_on = read::references(depends_on.as_ref(), errors);
    let has_provider = matches!(kind, NodeKind::Resource | NodeKind::Data | NodeKind::Migration);
    let provider = if has_provider { body.attributes.remove("provider") } else { None };
    let provider = provider.and_then(|a| read::reference(&a.term, errors));
    let lifecycle = if repeats { take_lifecycle(&mut body, kind, errors) } else { Lifecycle::default() };
    refuse_foreign(&mut body, kind, errors);
    expand_dynamic(&mut body, errors);
    let shape = if runs_a_tool(&body) && kind == NodeKind::Migration { &MIGRATION_BY_TOOL } else { shape };
    check::body(&body, shape, if repeats { &META } else { &[] }, errors);
    match kind {
        NodeKind::Artifact => artifact(&body, errors),
        NodeKind::HealthCheck | NodeKind::SmokeTest => probe(&body, errors),
        _ => {}
    }
    NodeBlock { kind, ty, name, repetition, depends_on, lifecycle, provider, check: None, body, span }
}

/// Whether a migration is one of an image's own tool: then there is no SQL, and perhaps no database that has a name here.
fn runs_a_tool(body: &Body) -> bool {
    body.blocks.iter().any(|block| &*block.ty == "runner" && block.body.attributes.contains_key("command"))
}

/// Takes the data source out of a `check` block: a node of its own that only that block sees.
pub(super) fn scoped_data(block: &mut BlockBody, errors: &mut Diagnostics) -> Option<BlockBody> {
    let mut found = block.body.blocks.extract_if(.., |b| &*b.ty == "data").collect::<Vec<_>>().into_iter();
    let first = found.next();
    for more in found {
        let detail = "A check block has one data source at most. What else it looks at can stand beside it, or in a check block \
                      of its own.";
        errors.push(Diagnostic::error("Multiple data resource blocks", detail).at(more.span));
    }
    let mut first = first?;
    for name in ["count", "for_each"] {
        if let Some(attribute) = first.body.attributes.remove(name) {
            let detail =
                format!("A data source inside of a check block is read once: \"{name}\" is not expected here.");
            errors.push(Diagnostic::error("Unsupported argument", detail).at(attribute.name_span));
        }
    }
    Some(first)
}

/// Takes `count` or `for_each` out of a body.
pub(super) fn repetition(body: &mut Body, errors: &mut Diagnostics) -> Repetition {
    let count = body.attributes.remove("count");
    let for_each = body.attributes.remove("for_each");
    match (count, for_each) {
        (Some(_), Some(for_each)) => {
            let detail = "\"count\" and \"for_each\" exclude each other: both say how often the block is repeated.";
            let diagnostic = Diagnostic::error("Invalid combination of \"count\" and \"for_each\"", detail);
            errors.push(diagnostic.at(for_each.name_span));
            Repetition::ForEach(for_each.term)
        }
        (Some(count), None) => Repetition::Count(count.term),
        (None, Some(for_each)) => Repetition::ForEach(for_each.term),
        (None, None) => Repetition::Single,
    }
}

fn take_lifecycle(body: &mut Body, kind: NodeKind, errors: &mut Diagnostics) -> Lifecycle {
    let mut found = body.blocks.extract_if(.., |b| &*b.ty == "lifecycle").collect::<Vec<_>>().into_iter();
    let Some(first) = found.next() else { return Lifecycle::default() };
    for more in found {
        let detail = "Only one block of type \"lifecycle\" may stand here.";
        errors.push(Diagnostic::error("Duplicate block", detail).at(more.span));
    }
    lifecycle::lifecycle(&first, kind == NodeKind::Resource, errors)
}

/// Blocks that Terraform has here and Gantry does not.
fn refuse_foreign(body: &mut Body, kind: NodeKind, errors: &mut Diagnostics) {
    body.blocks.retain(|block| {
        let (summary, detail, hint) = match (&*block.ty, kind) {
            ("provisioner" | "connection", NodeKind::Resource) => (
                "Provisioners are not supported",
                "What a provisioner does is neither planned nor recorded, so it can be neither shown nor taken back.",
                "Use a resource \"local_command\" that depends on this one.",
            ),
            _ => return true,
        };
        errors.push(Diagnostic::error(summary, detail).at(block.span).hint(hint));
        false
    });
}

/// Turns `dynamic "TYPE" { … content { … } }` into the block that it makes.
fn expand_dynamic(body: &mut Body, errors: &mut Diagnostics) {
    for block in std::mem::take(&mut body.blocks) {
        if &*block.ty == "dynamic" {
            body.blocks.extend(dynamic(block, errors));
        } else {
            body.blocks.push(block);
        }
    }
    for block in &mut body.blocks {
        expand_dynamic(&mut block.body, errors);
    }
}

fn dynamic(block: BlockBody, errors: &mut Diagnostics) -> Option<BlockBody> {
    let refuse = |errors: &mut Diagnostics, summary: &str, detail: String, span| {
        errors.push(Diagnostic::error(summary, detail).at(span));
    };
    let [ty] = &block.labels[..] else {
        let detail = "A \"dynamic\" block has one label, the type of the blocks that it makes.";
        refuse(errors, "Invalid dynamic block", detail.into(), block.span);
        return None;
    };
    let mut body = block.body;
    let for_each = body.attributes.remove("for_each");
    let iterator = body.attributes.remove("iterator");
    let labels = body.attributes.remove("labels").map(|a| a.term);
    for (name, attribute) in &body.attributes {
        let detail = format!(
            "An argument named \"{name}\" is not expected here: a \"dynamic\" block has for_each, iterator, labels and a \
             content block."
        );
        let wrong = Diagnostic::error("Unsupported argument", detail).at(attribute.name_span);
        errors.push(wrong.hint_opt(did_you_mean(name, ["for_each", "iterator", "labels", "content"])));
    }
    let iterator = match iterator {
        None => Some(ty.clone()),
        Some(given) => match &given.term.kind {
            TermKind::Reference(word) if word.steps.is_empty() => Some(word.root.clone()),
            _ => {
                refuse(errors, "Invalid expression", "The iterator is a plain name.".into(), given.term.span);
                None
            }
        },
    };
    let (content, other): (Vec<_>, Vec<_>) = body.blocks.into_iter().partition(|b| &*b.ty == "content");
    for stray in &other {
        let detail = format!("Blocks of type \"{}\" are not expected here: they stand in the content block.", stray.ty);
        refuse(errors, "Unsupported block type", detail, stray.span);
    }
    let Some(for_each) = for_each else {
        refuse(errors, "Missing required argument", "A \"dynamic\" block needs for_each.".into(), block.span);
        return None;
    };
    let mut content = content.into_iter();
    let (Some(first), None) = (content.next(), content.next()) else {
        refuse(errors, "Invalid dynamic block", "A \"dynamic\" block needs one content block.".into(), block.span);
        return None;
    };
    let dynamic = Some(Dynamic { for_each: for_each.term, iterator: iterator?, labels });
    Some(BlockBody { ty: Arc::clone(ty), labels: Vec::new(), body: first.body, dynamic, span: block.span })
}

fn artifact(body: &Body, errors: &mut Diagnostics) {
    let given: Vec<_> = ["image", "file"].into_iter().filter_map(|name| body.attributes.get(name)).collect();
    match given[..] {
        [_] => {}
        [] => {
            let detail = "An artifact is an \"image\" (a reference with a tag or digest) or a \"file\".";
            errors.push(Diagnostic::error("Missing required argument", detail).at(body.span));
        }
        [_, second, ..] => {
            let detail = "\"image\" and \"file\" exclude each other: an artifact is the one or the other.";
            errors.push(Diagnostic::error("Conflicting arguments", detail).at(second.name_span));
        }
    }
}

fn probe(body: &Body, errors: &mut Diagnostics) {
    let mut probes = body.blocks.iter().filter(|b| PROBES.contains(&&*b.ty));
    let first = probes.next();
    if first.is_none() {
        let detail = format!("A check needs a probe: one block of type {}.", PROBES.join(", "));
        errors.push(Diagnostic::error("Missing required block", detail).at(body.span));
    }
    if let (Some(first), Some(second)) = (first, probes.next())
        && first.ty != second.ty
    {
        let detail = format!("A check has one probe, and this one has \"{}\" already.", first.ty);
        let diagnostic = Diagnostic::error("Conflicting blocks", detail).at(second.span);
        errors.push(diagnostic.hint("Write a second check for it."));
    }
}
