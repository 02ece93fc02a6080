//! A workload waits for the schema of the database that it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Diagnostic;
use crate::plan::Change;
use crate::review::finding::Findings;
use crate::review::subject::{Subject, block_name};
use crate::value::Value;

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let mut databases: BTreeMap<Value, Vec<&Change>> = BTreeMap::new();
    for (change, detail) in subject.migrations() {
        let (url, _) = detail.url.unmark_deep();
        if !url.is_null() && url.as_str() != Some("") {
            databases.entry(url).or_default().push(change);
        }
    }
    if databases.is_empty() {
        return;
    }
    for change in subject.plan.changes.iter().filter(|c| subject.is_workload(&c.address)) {
        let mut named = BTreeSet::new();
        // A workload that goes has no planned object, and names nothing any more.
        if let Some(after) = &change.after {
            parts(&after.unmark_deep().0, &mut |part| named.extend(databases.get_key_value(part).map(|(url, _)| url)));
        }
        for migration in named.into_iter().flat_map(|url| &databases[url]) {
            if !connected(subject, change, migration) {
                refuse(change, migration, found);
            }
        }
    }
}

/// Whether one of the two depends on the other by configuration, at any distance. It may be the migration on the workload: the
/// workload is the database then.
fn connected(subject: &Subject<'_>, workload: &Change, migration: &Change) -> bool {
    let (workload, migration) = (block_name(&workload.address), block_name(&migration.address));
    reaches(subject, &workload, &migration) || reaches(subject, &migration, &workload)
}

fn reaches(subject: &Subject<'_>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(subject.needs().get(at).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

fn parts(value: &Value, see: &mut dyn FnMut(&Value)) {
    see(value);
    value.children().for_each(|child| parts(child, see));
}

fn refuse(workload: &Change, migration: &Change, found: &mut Findings<'_>) {
    let (workload_at, migration_at) = (&workload.address, &migration.address);
    let detail = format!(
        "{workload_at} uses the database that {migration_at} migrates, but nothing says that it needs that migration. It would be \
         started while the schema is still the old one, or be taken for healthy before it is."
    );
    let hint = if workload_at.module == migration_at.module {
        format!("Take the URL from {migration_at}.url: that reference is what lets the schema go first.")
    } else {
        format!(
            "Take the URL from migration.{}.url where the module is called: that reference is what lets the schema go first.",
            migration_at.name
        )
    };
    found.say(
        Diagnostic::error("Workload does not wait for its schema", detail)
            .at_opt(workload.span)
            .on(workload_at)
            .hint(hint),
    );
}
