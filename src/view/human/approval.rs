//! Who has to agree to a plan, and who does.

use jiff::Timestamp;

use super::page::Page;
use crate::diag::escape_controls;
use crate::ledger::record::{Consent, GivenApproval};
use crate::plan::approval::{Agreement, AtGate};
use crate::view::words::{clean, count, sentence, short, time};
use crate::view::{Ink, Style};

/// The most lines of a plan that could not be made again that are shown.
const STEPS_MAX: usize = 200;

/// What a plan needs by way of approval, and what it has.
#[must_use]
pub fn agreement(agreement: &Agreement, style: Style) -> String {
    let mut page = Page::new(style);
    for gate in &agreement.gates {
        page.gap();
        page.heading(&needs(gate));
        for agreed in &gate.approved {
            let since =
                agreed.earlier.as_deref().map(|then| format!(", at {}, for a plan of the same effect", time(then)));
            let until = agreed.expires.as_deref().map(|until| format!(" (until {})", time(until)));
            let name = style.paint(Ink::Green, &clean(&agreed.principal));
            page.prose(&format!("  {name} has approved{}{}", since.unwrap_or_default(), until.unwrap_or_default()));
        }
        for left in &gate.left_out {
            page.prose(&format!("  {}: does not count, {}", clean(&left.who), sentence(&left.why)));
            if !left.differs.is_empty() {
                page.prose(&format!("    what differs: {}", sentence(&left.differs.join(", "))));
            }
        }
    }
    if let Some(author) = &agreement.author {
        page.prose(&format!("  {} made the plan, and so does not approve it", clean(author)));
    }
    page.finish()
}

fn needs(gate: &AtGate) -> String {
    let names: Vec<String> = gate.names.iter().map(|name| clean(name)).collect();
    let whose = if gate.recorded { "As recorded before it changes: " } else { "" };
    let has = match gate.approved.len() {
        0 => "none yet".to_owned(),
        n => format!("{n} given"),
    };
    format!("Approval: {whose}needs {} of {}, {has}.", gate.required, names.join(", "))
}

/// Who agreed to a run.
pub(super) fn consent(consent: &Consent) -> String {
    let names: Vec<String> = consent.approvals.iter().map(|a| clean(&a.principal)).collect();
    let author = consent.author.as_ref().map(|a| format!("; planned by {}", clean(&a.principal))).unwrap_or_default();
    format!("by {}{author}; started by {}", names.join(", "), clean(&consent.starter.principal))
}

/// Approvals that no run has spent.
pub(super) fn write_given(page: &mut Page, given: &[GivenApproval]) {
    if given.is_empty() {
        return;
    }
    page.gap();
    page.heading("Approved and not applied:");
    for GivenApproval { approval, time: at, .. } in given {
        let until = approval.expires.as_deref().map(|until| format!(", until {}", time(until))).unwrap_or_default();
        let (who, effect) = (clean(&approval.principal), short(&approval.effect));
        page.prose(&format!("  {who}, at {}, a plan of the effect {effect}{until}", time(at)));
    }
}

/// That somebody has approved.
#[must_use]
pub fn approved(environment: &str, who: &str, expires: Timestamp, counts: &[(usize, usize)]) -> String {
    let mut text = format!(
        "{} has approved the plan for \"{}\", until {}.\n",
        clean(who),
        clean(environment),
        time(&expires.to_string())
    );
    for (has, needs) in counts {
        text.push_str(&format!("It has {has} of {} that it needs.\n", count(*needs, "approval")));
    }
    text
}

/// That enough people have agreed to a plan that is carried out now.
#[must_use]
pub fn agreed(agreement: &Agreement) -> String {
    let mut names: Vec<String> = Vec::new();
    for agreed in agreement.gates.iter().flat_map(|gate| &gate.approved) {
        let name = clean(&agreed.principal);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let author = agreement.author.as_deref().map(|a| format!("; planned by {}", clean(a))).unwrap_or_default();
    let starter = agreement.starter.as_deref().map(|s| format!("; started by {}", clean(s))).unwrap_or_default();
    format!("Approved by {}{author}{starter}.\n", names.join(", "))
}

/// A plan's steps as its file names them, where it could not be made again.
#[must_use]
pub fn bare_steps(environment: &str, steps: &str, why: &str, style: Style) -> String {
    let mut page = Page::new(style);
    page.heading(&format!("The steps of the plan for \"{}\", as its file names them:", clean(environment)));
    let all = steps.lines().count();
    for step in steps.lines().take(STEPS_MAX) {
        // As a whole, however long: it is what is signed.
        page.prose(&format!("  {}", escape_controls(step)));
    }
    if all > STEPS_MAX {
        page.prose(&format!("  … and {} more", all - STEPS_MAX));
    }
    page.gap();
    page.prose(&format!(
        "It cannot be shown as a plan here, for {}. What is signed is the digest of these steps, and an apply refuses a file whose plan \
         gives others.",
        sentence(why)
    ));
    page.finish()
}
