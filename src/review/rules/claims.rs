//! No two nodes claim one object.

use std::collections::BTreeMap;

use crate::addr::Address;
use crate::diag::{Diagnostic, Span};
use crate::plan::Detail;
use crate::review::finding::Findings;
use crate::review::subject::Subject;
use crate::value::Value;

/// A node that claims an object.
struct Claim<'a> {
    address: &'a Address,
    span: Option<Span>,
}

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    same_object(subject, found);
    same_database(subject, found);
}

/// Two nodes are after one object if a target finds both by one identity, or if both will have one `id`: what a type calls
/// `id` names one object of that type.
fn same_object(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let mut identities: BTreeMap<(&str, &str, String), Claim<'_>> = BTreeMap::new();
    let mut ids: BTreeMap<(&str, &str, &str), Claim<'_>> = BTreeMap::new();
    for change in &subject.plan.changes {
        let Detail::Resource(detail) = &change.detail else { continue };
        let (address, span) = (&change.address, change.span);
        if let Some(identity) = detail.prior.as_ref().map(|p| &p.identity).filter(|i| !i.is_null()) {
            let key = (detail.provider.as_str(), &*address.ty, identity.to_string());
            if let Some(other) = identities.get(&key) {
                claimed_twice(other, change.span, address, "the ledger has both with the same identity", found);
                continue;
            }
            identities.insert(key, Claim { address, span });
        }
        if let Some(id) = change.after.as_ref().and_then(|after| after.get("id")).and_then(Value::as_str) {
            let key = (detail.provider.as_str(), &*address.ty, id);
            if let Some(other) = ids.get(&key) {
                claimed_twice(other, change.span, address, "both will have the same id", found);
                continue;
            }
            ids.insert(key, Claim { address, span });
        }
    }
}

fn claimed_twice(other: &Claim<'_>, span: Option<Span>, address: &Address, how: &str, found: &mut Findings<'_>) {
    let detail = format!(
        "{} and {address} are one and the same object: {how}. Each would undo what the other does, and deleting one would \
         delete both.",
        other.address
    );
    found.say(
        Diagnostic::error("Object claimed twice", detail)
            .at_opt(span.or(other.span))
            .on(address)
            .hint("Keep one of the two blocks, or give them different names in the target."),
    );
}

fn same_database(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let mut databases: BTreeMap<Value, &Address> = BTreeMap::new();
    for (change, detail) in subject.migrations() {
        let (url, _) = detail.url.unmark_deep();
        if url.is_unknown() && url.sealed_digest().is_none() {
            continue;
        }
        let Some(other) = databases.insert(url, &change.address) else { continue };
        let detail = format!(
            "{other} and {} are for the same database. A database has one journal of migrations, so each would take the \
             other's for its own.",
            change.address
        );
        found.say(
            Diagnostic::error("Database claimed twice", detail)
                .at_opt(change.span)
                .on(&change.address)
                .hint("Put the migrations of one database into one directory, under one migration block."),
        );
    }
}
