//! Artifacts, migrations and checks of a plan.

use super::page::{Mark, Page};
use crate::plan::change::PlannedMigration;
use crate::plan::{Change, ChangeKind, Detail, Plan, Work};
use crate::value::Value;
use crate::view::mask::{SENSITIVE, UNKNOWN};
use crate::view::words::{clean, count, sentence, short};

/// How many lines of one migration's SQL are shown; the file has all.
const SQL_LINES_MAX: usize = 60;

/// Artifacts that are fixed to their content.
pub(super) fn write_artifacts(page: &mut Page, plan: &Plan) {
    for change in plan.changes.iter().filter(|c| matches!(c.detail, Detail::Artifact) && !c.is_no_op()) {
        page.gap();
        let what = match change.kind {
            ChangeKind::Delete => "will no longer be pinned",
            _ => "will be pinned to its content",
        };
        page.prose(&format!("  {}", page.style().bold(&format!("# {} {what}", clean(&change.address.to_string())))));
        let mark = if change.kind == ChangeKind::Delete { Mark::Remove } else { Mark::Run };
        page.line(0, mark, &format!("artifact \"{}\" {{", clean(&change.address.name)));
        let before = change.before.as_ref().and_then(|v| v.get_str("digest")).map(short);
        for step in plan.steps.iter().filter(|s| s.address == change.address) {
            let Work::Pin(pin) = &step.work else { continue };
            page.line(1, Mark::Keep, &format!("{:<6} = {}", clean(&pin.kind), one_line(&pin.source)));
            let after = pin.digest.as_deref().map_or_else(|| UNKNOWN.to_owned(), short);
            let (mark, text) = match &before {
                Some(old) if *old != after => (Mark::Change, format!("digest = {old} -> {after}")),
                Some(_) => (Mark::Keep, format!("digest = {after}")),
                None => (Mark::Add, format!("digest = {after}")),
            };
            page.line(1, mark, &text);
        }
        page.line(0, Mark::Keep, "}");
    }
}

/// Migrations: their SQL, what each locks or destroys, and the way back.
pub(super) fn write_migrations(page: &mut Page, plan: &Plan) {
    for change in &plan.changes {
        let Detail::Migration(detail) = &change.detail else { continue };
        if detail.pending.is_empty() && detail.reverting.is_empty() {
            continue;
        }
        page.gap();
        let at = detail.applied.last().map_or_else(|| "nothing applied yet".to_owned(), |v| format!("at version {v}"));
        let mut what = Vec::new();
        if !detail.reverting.is_empty() {
            what.push(format!("{} to take back", count(detail.reverting.len(), "migration")));
        }
        if !detail.pending.is_empty() {
            what.push(format!("{} to apply", count(detail.pending.len(), "migration")));
        }
        let line = format!("# {}: {} ({at})", clean(&change.address.to_string()), what.join(", "));
        page.prose(&format!("  {}", page.style().bold(&line)));
        page.line(0, Mark::Run, &format!("migration \"{}\" {{", clean(&change.address.name)));
        for migration in &detail.reverting {
            let sql = migration.down.as_deref().unwrap_or_default();
            write_one(page, Mark::Remove, migration, sql, migration.down_file.as_deref());
        }
        for migration in &detail.pending {
            write_one(page, Mark::Add, migration, &migration.up, Some(&migration.file));
            let back = match (&migration.down_file, &migration.down) {
                (Some(file), _) => format!("way back: {}", clean(file)),
                (None, Some(_)) => "way back: stored down text".to_owned(),
                (None, None) => "way back: none".to_owned(),
            };
            page.comment(2, &back);
        }
        for way in plan.way_back.iter().filter(|w| w.address == change.address) {
            page.comment(1, &sentence(&way.sentence));
        }
        page.line(0, Mark::Keep, "}");
    }
}

fn write_one(page: &mut Page, mark: Mark, migration: &PlannedMigration, sql: &str, file: Option<&str>) {
    let file = file.map(|f| format!("  # {}", clean(f))).unwrap_or_default();
    page.line(1, mark, &format!("{:04} {}{file}", migration.version, clean(&migration.name)));
    let total = sql.trim_end().lines().count();
    for line in sql.trim_end().lines().take(SQL_LINES_MAX) {
        page.line(2, Mark::Keep, &clean(line));
    }
    if total > SQL_LINES_MAX {
        page.comment(2, &format!("({} in the file)", count(total - SQL_LINES_MAX, "more line")));
    }
    for effect in &migration.effects {
        page.comment(2, &format!("effect: {}", sentence(effect)));
    }
}

/// Whether a change is a check that will run.
pub(super) fn runs(change: &Change) -> bool {
    matches!(change.detail, Detail::Check(_) | Detail::Assertions(_)) && change.kind == ChangeKind::Run
}

/// The checks that will run: when, on what, and what they ask.
pub(super) fn write_checks(page: &mut Page, plan: &Plan) {
    let mut rows = Vec::new();
    for change in plan.changes.iter().filter(|c| runs(c)) {
        if let Detail::Assertions(all) = &change.detail {
            let what = crate::view::words::count(all.len(), "assertion");
            rows.push(vec![clean(&change.address.to_string()), "verify".into(), what]);
        }
        let Detail::Check(detail) = &change.detail else { continue };
        let mut phases = Vec::new();
        if !detail.prove.is_empty() {
            let on: Vec<String> = detail.prove.iter().map(|(w, _)| clean(&w.to_string())).collect();
            phases.push(format!("prove the new {}", on.join(", ")));
        }
        if detail.verify {
            phases.push("verify".into());
        }
        let probe = change.after.as_ref().map(probe).unwrap_or_default();
        rows.push(vec![clean(&change.address.to_string()), phases.join(", then "), probe]);
    }
    if rows.is_empty() {
        return;
    }
    page.gap();
    page.heading("Checks that will run:");
    for line in crate::view::words::table(&rows).lines() {
        page.line(0, Mark::Run, line);
    }
}

/// What a check asks, on one line: `POST http://…/orders every 1s for up to 60s, 2 in a row`.
fn probe(configuration: &Value) -> String {
    let part = |name: &str| configuration.get(name).filter(|v| !v.is_null());
    let text = |value: &Value, name: &str| value.get(name).filter(|v| !v.is_null()).map(one_line);
    let asked = if let Some(http) = part("http") {
        let method = text(http, "method").unwrap_or_else(|| "GET".into());
        format!("{method} {}", text(http, "url").unwrap_or_else(|| UNKNOWN.into()))
    } else if let Some(tcp) = part("tcp") {
        format!("tcp {}", text(tcp, "address").unwrap_or_default())
    } else if let Some(grpc) = part("grpc") {
        format!("grpc {} {}", text(grpc, "address").unwrap_or_default(), text(grpc, "service").unwrap_or_default())
    } else if let Some(command) = part("command") {
        let argv = command.get("argv").and_then(Value::as_items).unwrap_or_default();
        format!("command {}", argv.iter().map(one_line).collect::<Vec<_>>().join(" "))
    } else {
        return String::new();
    };
    let mut how = vec![asked.trim_end().to_owned()];
    how.extend(text(configuration, "interval").map(|i| format!("every {i}")));
    how.extend(text(configuration, "timeout").map(|t| format!("for up to {t}")));
    if let Some(n) = configuration.get("success_threshold").and_then(Value::as_number).filter(|n| n.to_u64() > Some(1))
    {
        how.push(format!("until {n} pass in a row"));
    }
    how.join(", ")
}

/// A value inside a sentence: text without quotes.
fn one_line(value: &Value) -> String {
    if value.marks.is_sensitive() {
        return SENSITIVE.into();
    }
    match value.as_str() {
        Some(text) => sentence(text),
        None => sentence(&crate::value::show(value)),
    }
}
