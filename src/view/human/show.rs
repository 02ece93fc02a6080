//! What is recorded of an environment, and of one of its generations.

use std::collections::BTreeMap;

use super::approval;
use super::history::{ink, kind, outcome, took};
use super::page::{Mark, Page};
use super::{checks, outputs, state};
use crate::addr::Address;
use crate::ledger::State;
use crate::ledger::event::{AppliedMigration, CheckJudged};
use crate::ledger::record::{Generation, Pin};
use crate::ledger::replay::{OpenRun, StepStatus};
use crate::view::Style;
use crate::view::words::{clean, count, sentence, short, time};

/// An environment as the ledger knows it now: generation, records, versions without traffic, artifacts, migrations, last
/// verdicts, outputs, and a run that has not ended.
#[must_use]
pub fn show(environment: &str, now: &State, style: Style) -> String {
    let mut page = Page::new(style);
    let name = clean(environment);
    match now.current() {
        Some(g) => page.heading(&format!("{name}: generation {}, verified {}", g.number, when(g))),
        None => page.heading(&format!("{name}: no verified generation yet")),
    }
    if let Some(last) = now.generations.last().filter(|g| Some(g.number) != now.current().map(|c| c.number)) {
        let word = outcome(last);
        let line =
            format!("Generation {} is {}: {}", last.number, style.paint(ink(word), word), sentence(&last.sentence));
        page.prose(line.trim_end_matches([' ', ':']));
    }
    if let Some(open) = &now.open {
        write_open(&mut page, &name, open);
    }
    approval::write_given(&mut page, &now.approvals);
    for (address, record) in &now.records {
        page.gap();
        state::write_record(&mut page, address, record);
    }
    for (address, versions) in &now.versions {
        for version in versions {
            page.gap();
            page.prose(&format!("# {}: a version without traffic, to be retired", clean(&address.to_string())));
            page.prose("version {");
            state::write_attributes(&mut page, &version.attributes);
            page.prose("}");
        }
    }
    write_pins(&mut page, &now.pins);
    write_migrations(&mut page, &now.migrations);
    let judged: Vec<(&CheckJudged, Option<&str>)> = now.checks.values().map(|(j, at)| (j, Some(at.as_str()))).collect();
    write_checks(&mut page, &judged);
    write_outputs(&mut page, &now.outputs);
    page.finish()
}

/// One generation: who made it, when, how it ended, and what stood at its end.
#[must_use]
pub fn show_generation(environment: &str, generation: &Generation, style: Style) -> String {
    let mut page = Page::new(style);
    let word = outcome(generation);
    page.heading(&format!("{}: generation {}", clean(environment), generation.number));
    let mut row = |name: &str, text: String| page.prose(&format!("  {name:<8} {text}"));
    row("outcome", style.paint(ink(word), word));
    if !generation.sentence.is_empty() {
        row("", sentence(&generation.sentence));
    }
    row("run", format!("{} {}", kind(generation.kind), clean(&generation.run)));
    row("base", generation.base.map_or_else(|| "nothing".into(), |n| format!("generation {n}")));
    row("started", format!("{} by {}", time(&generation.started), clean(&generation.actor)));
    if let Some(finished) = &generation.finished {
        let took = took(generation).map(|t| format!(", after {t}")).unwrap_or_default();
        row("ended", format!("{}{took}", time(finished)));
    }
    row("effect", short(&generation.effect));
    if let Some(release) = &generation.release {
        let id = release.id();
        let from = format!("generation {} of \"{}\"", release.generation, clean(&release.environment));
        row("release", format!("{}, proven as {from}", crate::ledger::release::short(&id)));
    }
    for (address, named) in &generation.overrides {
        let (reference, reason) = (clean(&named.reference), sentence(&named.reason));
        row("by hand", format!("{} is {reference}: {reason}", clean(&address.to_string())));
    }
    if let Some(consent) = &generation.consent {
        row("approved", approval::consent(consent));
    }
    if generation.partial {
        row("partial", "limited by --target or --replace; cannot be promoted".into());
    }
    if let Some(collected) = &generation.collected {
        let (when, who) = (time(&collected.time), clean(&collected.actor));
        row("kept", format!("no: {who} collected it with gantry state gc at {when}"));
    }
    if !generation.failures.is_empty() {
        page.gap();
        page.heading("Failed:");
        for (step, why) in &generation.failures {
            page.prose(&format!("  {}: {}", clean(step), sentence(why)));
        }
    }
    write_pins(&mut page, &generation.pins);
    write_migrations(&mut page, &generation.migrations);
    let judged: Vec<(&CheckJudged, Option<&str>)> = generation.checks.iter().map(|j| (j, None)).collect();
    write_checks(&mut page, &judged);
    write_outputs(&mut page, &generation.outputs);
    page.finish()
}

fn when(generation: &Generation) -> String {
    time(generation.finished.as_deref().unwrap_or(&generation.started))
}

fn write_open(page: &mut Page, environment: &str, open: &OpenRun) {
    page.gap();
    let doing = match (&open.unwinding, open.committed) {
        (Some(why), _) => format!("is going back to its base: {}", sentence(why)),
        (None, true) => "is committed and only goes forward".to_owned(),
        (None, false) => "has not ended".to_owned(),
    };
    let what = kind(open.started.kind);
    page.heading(&format!(
        "Run {} ({what}, started {} by {}) {doing}",
        clean(&open.run),
        time(&open.time),
        clean(&open.actor)
    ));
    for (step, status) in open.steps.iter().chain(&open.unwinding_steps) {
        match status {
            StepStatus::Intended(_) => page.prose(&format!("  ? {}: started, outcome not recorded", clean(step))),
            StepStatus::Failed(failed) => page.prose(&format!("  ! {}: {}", clean(step), sentence(&failed.sentence))),
            StepStatus::NotDone => page.prose(&format!("  - {}: not done", clean(step))),
            StepStatus::Succeeded => {}
        }
    }
    let done = open.steps.values().filter(|s| **s == StepStatus::Succeeded).count();
    page.prose(&format!("  {} done. Next: gantry resume {environment}", count(done, "step")));
}

fn write_pins(page: &mut Page, pins: &BTreeMap<Address, Pin>) {
    if pins.is_empty() {
        return;
    }
    page.gap();
    page.heading("Artifacts:");
    let row = |(address, pin): (&Address, &Pin)| {
        let tag = pin.tag.as_ref().map(|t| format!(" (tag {})", clean(t))).unwrap_or_default();
        let size = pin.size.map(|n| format!(" ({})", count(n, "byte"))).unwrap_or_default();
        let source = format!("{} {}{tag}{size}", clean(&pin.kind), clean(&pin.source));
        vec![clean(&address.to_string()), short(&pin.digest), source]
    };
    lines(page, &pins.iter().map(row).collect::<Vec<_>>());
}

fn write_migrations(page: &mut Page, migrations: &BTreeMap<Address, Vec<AppliedMigration>>) {
    if migrations.values().all(Vec::is_empty) {
        return;
    }
    page.gap();
    page.heading("Migrations applied:");
    let mut rows = Vec::new();
    for (address, applied) in migrations {
        for one in applied {
            let back = if one.down.is_some() { "has a way back" } else { "no way back" };
            let name = format!("{:04} {}", one.version, clean(&one.name));
            rows.push(vec![clean(&address.to_string()), name, short(&one.checksum), back.to_owned()]);
        }
    }
    lines(page, &rows);
}

fn write_checks(page: &mut Page, judged: &[(&CheckJudged, Option<&str>)]) {
    if judged.is_empty() {
        return;
    }
    page.gap();
    page.heading("Checks:");
    for (one, at) in judged {
        let on = one.workload.as_ref().map(|w| format!(" on the new {}", clean(&w.to_string()))).unwrap_or_default();
        let back = if one.unwinding { " after going back" } else { "" };
        let at = at.map(|t| format!(" {}", time(t))).unwrap_or_default();
        let word = page.style().paint(ink(if one.passed { "verified" } else { "stuck" }), checks::verdict(one));
        let line = format!(
            "{} {word} ({}{on}{back}){at}: {}",
            clean(&one.address.to_string()),
            one.phase.word(),
            sentence(&one.sentence)
        );
        page.prose(&format!("  {}", line.trim_end_matches([' ', ':'])));
        for evidence in &one.evidence {
            page.prose(&format!("    evidence: {} ({})", clean(&evidence.name), short(&evidence.blob)));
        }
    }
}

fn write_outputs(page: &mut Page, all: &BTreeMap<String, serde_json::Value>) {
    if all.is_empty() {
        return;
    }
    page.gap();
    page.heading("Outputs:");
    page.gap();
    for line in outputs::outputs(all).lines() {
        page.prose(line);
    }
}

fn lines(page: &mut Page, rows: &[Vec<String>]) {
    for line in crate::view::words::table(rows).lines() {
        page.line(0, Mark::Keep, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::human::{history, state_list, state_show};
    use crate::view::samples::{address, state, state_under_way};

    #[test]
    fn an_environment_in_the_middle_of_a_run() {
        let expected = "\
local: generation 1, verified 2026-11-21 00:16:42Z
Generation 3 is under way

Run run-3 (apply, started 2026-11-21 00:20:00Z by ann@host) has not ended
  ? local_service.shop stage: started, outcome not recorded
  0 steps done. Next: gantry resume local

# local_service.shop:
resource \"local_service\" \"shop\" {
    command  = [
        \"bin/shop-1\",
    ]
    id       = \"svc-1\"
    replicas = 2
    token    = (sensitive value)
}

# local_service.shop: a version without traffic, to be retired
version {
    command = [
        \"bin/shop-0\",
    ]
}

Artifacts:
    artifact.shop  0123456789ab  file target/release/shop (1234 bytes)

Migrations applied:
    migration.schema  0001 create_orders  aa  has a way back

Checks:
  health_check.shop passed (verify) 2026-11-21 00:16:41Z: HTTP 200 in 3 ms
    evidence: response body (0123456789ab)

Outputs:

password = <sensitive>
url = \"http://here\"
";
        assert_eq!(show("local", &state_under_way(), Style::Plain), expected);
    }

    #[test]
    fn a_generation_says_how_it_ended() {
        let expected = "\
local: generation 2
  outcome  rolled back
           All checks passed.
  run      apply run-2
  base     generation 1
  started  2026-11-21 00:16:30Z by ann@host
  ended    2026-11-21 00:16:42Z, after 12s
  effect   fedcba987654

Checks:
  health_check.shop failed (verify): HTTP 500 where 200 was expected
    evidence: response body (0123456789ab)

Outputs:

password = <sensitive>
url = \"http://here\"
";
        assert_eq!(show_generation("local", &state().generations[1], Style::Plain), expected);
    }

    #[test]
    fn history_is_a_table() {
        let expected = "\
GENERATION  OUTCOME      RUN    RELEASE  STARTED               TOOK  BY        CHANGED      CHECKS  EFFECT        WHAT
1*          verified     apply  -        2026-11-21 00:16:30Z  12s   ann@host  +1 ~2 -0 >1  1/1     fedcba987654  All checks passed.
2           rolled back  apply  -        2026-11-21 00:16:30Z  12s   ann@host               0/1     fedcba987654  All checks passed.
3           under way    apply  -        2026-11-21 00:20:00Z        ann@host                       e
";
        let done = crate::ledger::story::Changes { added: 1, changed: 2, destroyed: 0, migrations: 1 };
        let changes = BTreeMap::from([("run-1".to_owned(), done)]);
        let none = BTreeMap::new();
        assert_eq!(history(&state_under_way(), &none, &changes, Style::Plain), expected);
        let nothing = "No generation yet: nothing has been applied.\n";
        assert_eq!(history(&State::default(), &none, &changes, Style::Plain), nothing);
    }

    #[test]
    fn records_one_by_one() {
        let state = state();
        assert_eq!(state_list(&state), "local_service.shop\n");
        let at = address("local_service.shop");
        let text = state_show(&at, &state.records[&at], Style::Plain);
        assert!(
            text.starts_with("# local_service.shop:\nresource \"local_service\" \"shop\" {\n    command  = [\n"),
            "{text}"
        );
        let end = "}\n\n# provider local, made or last changed in generation 1\n# depends on migration.schema\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn an_empty_environment_says_so() {
        assert_eq!(show("local", &State::default(), Style::Plain), "local: no verified generation yet\n");
    }
}
