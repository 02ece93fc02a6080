//! What a node needs by configuration is done before it is begun.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::addr::Address;
use crate::plan::Action;
use crate::review::finding::Findings;
use crate::review::subject::{Subject, action, makes};

/// For each block what stands for it: the last steps of its nodes, or, where it does nothing, what it needs itself.
struct Standing<'s, 'a> {
    subject: &'s Subject<'a>,
    own: BTreeMap<&'s str, Rc<BTreeSet<usize>>>,
    known: BTreeMap<&'s str, Rc<BTreeSet<usize>>>,
}

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    if !subject.plan.steps.iter().any(makes) {
        return;
    }
    let nodes = subject.nodes_of_blocks();
    let done =
        |all: &Vec<&Address>| Rc::new(all.iter().filter_map(|node| subject.done(node)).collect::<BTreeSet<usize>>());
    let own = nodes.iter().map(|(name, all)| (name.as_str(), done(all))).collect();
    let mut standing = Standing { subject, own, known: BTreeMap::new() };
    for (block, needs) in subject.needs() {
        for need in needs {
            let sources = standing.of(need);
            if sources.is_empty() {
                continue;
            }
            // The instances of a block mostly wait for the very same steps, so one answer does for all.
            let mut last: Option<(&[usize], BTreeSet<usize>)> = None;
            for node in nodes.get(block).into_iter().flatten() {
                let Some(first) = subject.first(node) else { continue };
                // A switch without its stage is another rule's; here it would be taken for the beginning.
                if action(subject.step(first)) == Some(Action::Switch) {
                    continue;
                }
                let after = subject.step(first).after.as_slice();
                if last.as_ref().is_none_or(|(same, _)| *same != after) {
                    last = Some((after, subject.order.not_before(&sources, first)));
                }
                if let Some(missed) = last.as_ref().and_then(|(_, missed)| missed.first()) {
                    let (step, missed) = (&subject.step(first).name, &subject.step(*missed).name);
                    let sentence = format!(
                        "{block} needs {need}, but the step \"{step}\" does not wait for the step \"{missed}\""
                    );
                    found.bug(node, &sentence);
                }
            }
        }
    }
}

impl<'s> Standing<'s, '_> {
    /// The steps that stand for a block. Without recursion: what needs what may be one long chain.
    fn of(&mut self, block: &'s str) -> Rc<BTreeSet<usize>> {
        let needs = self.subject.needs();
        let mut open = vec![(block, false)];
        while let Some((at, below_known)) = open.pop() {
            if self.known.contains_key(at) {
                continue;
            }
            let own = self.own.get(at).filter(|o| !o.is_empty()).cloned();
            let below = needs.get(at).map_or(&[][..], Vec::as_slice);
            if let Some(own) = own {
                self.known.insert(at, own);
            } else if below_known {
                let all: Vec<_> = below.iter().filter_map(|b| self.known.get(b.as_str())).cloned().collect();
                let union = match all.as_slice() {
                    [one] => one.clone(),
                    all => Rc::new(all.iter().flat_map(|s| s.iter().copied()).collect()),
                };
                self.known.insert(at, union);
            } else {
                open.push((at, true));
                open.extend(below.iter().map(|b| (b.as_str(), false)));
            }
        }
        self.known.get(block).cloned().unwrap_or_default()
    }
}
