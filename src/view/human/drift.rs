//! What a look at an environment found.

use super::block::{drifted_object, title};
use super::page::Page;
use crate::plan::drift::{Drift, Finding, Known, Standing};
use crate::view::Style;
use crate::view::words::{clean, sentence, time};

/// What drifted and what could not be looked at, and what to do about it.
#[must_use]
pub fn drift(drift: &Drift, style: Style) -> String {
    let mut page = Page::new(style);
    let name = clean(&drift.environment);
    if let Some(run) = &drift.open {
        page.prose(&format!(
            "Note: {} has not ended. What it did and did not record yet looks like drift here.",
            clean(run)
        ));
        page.gap();
    }
    let (drifted, unreadable) = (drift.drifted().count(), drift.unreadable().count());
    if drift.findings.is_empty() {
        page.prose(&format!("The ledger of \"{name}\" knows of no objects, so none can have drifted."));
        return page.finish();
    }
    if drifted > 0 {
        page.heading(&format!("Objects of \"{name}\" are not as they were recorded:"));
        drift.drifted().for_each(|finding| write(&mut page, finding));
        page.gap();
    }
    known(&mut page, drift);
    if unreadable > 0 {
        page.heading(&format!("Objects of \"{name}\" could not be looked at:"));
        for finding in drift.unreadable() {
            let Standing::Unreadable(why) = &finding.standing else { continue };
            page.prose(&format!("  {}: {}", clean(&finding.address.to_string()), sentence(why)));
        }
        page.gap();
    }
    page.heading(&counted(drift));
    if drifted > 0 {
        page.gap();
        page.prose(&format!("To bring them back to what was recorded: gantry apply {name}"));
        page.prose(&format!("To record what is there instead:         gantry apply {name} --refresh-only"));
    }
    page.finish()
}

/// `Drift: 1 changed, 1 gone, 0 not ready, of 7 objects; 2 could not be looked at.`
#[must_use]
pub fn counted(drift: &Drift) -> String {
    let count = |is: fn(&Standing) -> bool| drift.drifted().filter(|f| is(&f.standing)).count();
    let changed = count(|s| matches!(s, Standing::Changed { .. }));
    let (gone, unready) = (count(|s| *s == Standing::Gone), count(|s| matches!(s, Standing::NotReady(_))));
    let (all, unreadable) = (drift.findings.len(), drift.unreadable().count());
    let acknowledged = drift.acknowledged().count();
    let objects = if all == 1 { "object" } else { "objects" };
    let mut out = match changed + gone + unready {
        0 if acknowledged > 0 => format!("No other drift in {} {objects}", all - unreadable),
        0 => format!("No drift in {} {objects}", all - unreadable),
        _ => format!("Drift: {changed} changed, {gone} gone, {unready} not ready, of {all} {objects}"),
    };
    if acknowledged > 0 {
        out.push_str(&format!("; {acknowledged} acknowledged"));
    }
    if unreadable > 0 {
        out.push_str(&format!("; {unreadable} could not be looked at"));
    }
    out.push('.');
    out
}

/// What is known, with why and until when: also of objects that differ in something else as well.
fn known(page: &mut Page, drift: &Drift) {
    if drift.findings.iter().all(|finding| finding.known.is_empty()) {
        return;
    }
    page.heading(&format!("Known differences of \"{}\", which were acknowledged:", clean(&drift.environment)));
    for finding in &drift.findings {
        for known in &finding.known {
            page.prose(&format!("  {}", known_words(finding, known)));
        }
    }
    page.gap();
}

/// `local_file.a (content): reason (until 2026-11-28 10:00:00Z, by ada)`
fn known_words(finding: &Finding, known: &Known) -> String {
    let part = if known.path.is_empty() { String::new() } else { format!(" ({})", clean(&known.path)) };
    let (reason, until, by) = (sentence(&known.reason), time(&known.expires), clean(&known.actor));
    format!("{}{part}: {reason} (until {until}, by {by})", clean(&finding.address.to_string()))
}

/// What was acknowledged just now, or no longer is.
#[must_use]
pub fn acknowledged(address: &str, path: Option<&str>, expires: Option<&str>) -> String {
    let part = path.map(|path| format!(" ({})", clean(path))).unwrap_or_default();
    match expires {
        Some(until) => format!("Acknowledged until {}: {}{part}\n", time(until), clean(address)),
        None => format!("Not acknowledged any more: {}{part}\n", clean(address)),
    }
}

/// One object that drifted, alone; nothing for one that did not.
#[must_use]
pub fn drifted(finding: &Finding, style: Style) -> String {
    let mut page = Page::new(style);
    write(&mut page, finding);
    page.finish()
}

fn write(page: &mut Page, finding: &Finding) {
    match &finding.standing {
        Standing::Changed { observed, .. } => {
            title(page, &finding.address, "has changed");
            drifted_object(page, &finding.address, &finding.recorded, Some(observed));
        }
        Standing::Gone => {
            title(page, &finding.address, "is gone");
            drifted_object(page, &finding.address, &finding.recorded, None);
        }
        Standing::NotReady(why) => {
            title(page, &finding.address, "is not ready");
            page.prose(&format!("    {}", sentence(why)));
        }
        Standing::AsRecorded | Standing::Unreadable(_) => {}
    }
    for author in &finding.changed_by {
        let when = author.when.as_deref().map(|at| format!(", {}", time(at))).unwrap_or_default();
        let what = if author.paths.is_empty() { String::new() } else { format!(": {}", author.paths.join(", ")) };
        page.prose(&format!("    changed by {}{when}{}", clean(&author.who), clean(&what)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::drift::Author;
    use crate::value::{Type, Value};

    #[test]
    fn whoever_changed_an_object_is_named_where_its_target_tells() {
        let author = Author {
            who: "kubectl\u{1b}".into(),
            when: Some("2026-11-21T12:00:00Z".into()),
            paths: vec!["spec.replicas".into()],
        };
        let finding = Finding {
            address: "terraform_data.x".parse().unwrap(),
            provider: "builtin".into(),
            recorded: Value::null(Type::Any),
            standing: Standing::NotReady("one of two serves".into()),
            parts: Vec::new(),
            known: Vec::new(),
            changed_by: vec![author],
        };
        let text = drifted(&finding, Style::Plain);
        let expected = "    changed by kubectl\\u{1b}, 2026-11-21 12:00:00Z: spec.replicas\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
