//! Migrations go up in the order of their versions, and back newest first.

use crate::plan::{Change, Work};
use crate::review::finding::Findings;
use crate::review::subject::Subject;

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    for (change, detail) in subject.migrations() {
        let steps = subject.steps_of(&change.address);
        let versions = |up: bool| -> Vec<(u64, usize)> {
            let version = |n: &usize| match &subject.step(*n).work {
                Work::Migrate { migration, .. } if up => Some((migration.version, *n)),
                Work::Revert { migration, .. } if !up => Some((migration.version, *n)),
                _ => None,
            };
            steps.iter().filter_map(version).collect()
        };
        let mut going_up = versions(true);
        going_up.sort_unstable();
        in_order(subject, change, &going_up, found);
        let mut going_back = versions(false);
        going_back.sort_unstable();
        going_back.reverse();
        in_order(subject, change, &going_back, found);
        let newest = detail.applied.iter().max();
        if let (Some((version, _)), Some(newest)) = (going_up.first(), newest)
            && version <= newest
        {
            let sentence =
                format!("version {version} is to be applied, though version {newest} stands applied already");
            found.bug(&change.address, &sentence);
        }
        for (version, _) in going_back.iter().filter(|(v, _)| !detail.applied.contains(v)) {
            found
                .bug(&change.address, &format!("version {version} is to be taken back, but it does not stand applied"));
        }
    }
}

fn in_order(subject: &Subject<'_>, change: &Change, versions: &[(u64, usize)], found: &mut Findings<'_>) {
    for pair in versions.windows(2) {
        let [(_, first), (_, then)] = pair else { continue };
        if !subject.order.before(*first, *then) {
            let (first, then) = (&subject.step(*first).name, &subject.step(*then).name);
            found.bug(&change.address, &format!("the step \"{then}\" does not wait for the step \"{first}\""));
        }
    }
}
