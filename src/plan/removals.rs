//! `removed` blocks: what the configuration says about what it does not have any more.

use super::moves::Endpoint;
use super::walk::Planner;
use crate::addr::Address;
use crate::diag::Diagnostic;

impl Planner<'_> {
    /// Whether a `removed` block names a record's address, and if so whether the object goes too.
    pub(super) fn removed(&self, at: &Address) -> Option<bool> {
        let outline = self.world.outline;
        let mut found = None;
        for (index, module) in outline.modules.iter().enumerate() {
            if module.module.removed.is_empty() {
                continue;
            }
            let path = outline.names(index);
            for removed in &module.module.removed {
                let covers = Endpoint::read(&removed.from).is_ok_and(|end| end.covers_any(&path, at));
                if covers && found.is_none() {
                    found = Some(removed.destroy);
                }
            }
        }
        found
    }

    /// What is wrong with the `removed` blocks.
    pub(super) fn removals_hold(&self) {
        let outline = self.world.outline;
        for (index, module) in outline.modules.iter().enumerate() {
            for removed in &module.module.removed {
                let span = removed.from.span;
                let end = match Endpoint::read(&removed.from) {
                    Ok(end) if end.has_keys() => {
                        let detail = "A removed block is about a whole resource or module, without instance keys: single \
                                      instances go when \"count\" or \"for_each\" does not have them any more.";
                        self.world.report(Diagnostic::error("Instance keys not allowed", detail).at(span));
                        continue;
                    }
                    Ok(end) => end,
                    Err(why) => {
                        self.world.report(Diagnostic::error("Invalid address", why).at(span));
                        continue;
                    }
                };
                if self.declares(index, &end) {
                    let what = if end.resource.is_some() { "resource" } else { "module" };
                    let detail = format!(
                        "This says that {end} was removed, but it is still declared. Take the one block or the other out."
                    );
                    self.world
                        .report(Diagnostic::error(format!("Removed {what} still exists"), detail).at(removed.span));
                }
            }
        }
    }

    fn declares(&self, index: usize, end: &Endpoint) -> bool {
        let outline = self.world.outline;
        let mut module = index;
        for step in &end.modules {
            let Some(child) = outline.modules[module].children.get(&step.name) else { return false };
            module = *child;
        }
        let Some((ty, name, _)) = &end.resource else { return true };
        outline.modules[module].block(crate::addr::NodeKind::Resource, ty, name).is_some()
    }
}
