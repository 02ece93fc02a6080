//! A promotion against what was proven: what the environment gets, and which part of that no environment has tried.

use super::page::Page;
use super::value;
use crate::ledger::record::Pin;
use crate::ledger::release;
use crate::plan::difference::{ArtifactDifference, Difference, MigrationDifference, VariableDifference};
use crate::value::Value;
use crate::view::words::{clean, count, short, table, time};
use crate::view::{Ink, Style};

/// Words behind what no environment has tried yet.
const NOT_PROVEN: &str = "not proven";

/// What a promotion brings to `target`, by artifact, migration, configuration, variables and checks.
#[must_use]
pub fn promotion(difference: &Difference, target: &str, style: Style) -> String {
    let mut page = Page::new(style);
    let from = clean(&difference.from);
    let id = difference.release.id();
    page.heading(&format!("Release {} goes from \"{from}\" to \"{}\":", release::short(&id), clean(target)));
    let verified = difference.verified.as_deref().map(|at| format!(", verified {}", time(at))).unwrap_or_default();
    page.prose(&format!("  It is generation {} of \"{from}\"{verified}.", difference.generation));
    if difference.release.environment != difference.from {
        let (first, number) = (clean(&difference.release.environment), difference.release.generation);
        page.prose(&format!("  It was proven first as generation {number} of \"{first}\"."));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    difference.artifacts.iter().for_each(|one| rows.push(artifact(one, &from, style)));
    difference.migrations.iter().for_each(|one| migration(&mut rows, one, &from, style));
    configuration(&mut rows, difference, target, &from, style);
    difference.variables.iter().for_each(|one| rows.push(variable(one, &from)));
    checks(&mut rows, difference, &from, style);
    page.gap();
    table(&rows).lines().for_each(|line| page.prose(&format!("  {line}")));
    for address in &difference.overridden {
        page.prose(&format!("  {} was named by hand; that ends with this promotion.", clean(&address.to_string())));
    }
    page.gap();
    page.finish()
}

fn pin(pin: &Pin) -> String {
    let tag = pin.tag.as_ref().map(|tag| format!(" ({})", clean(tag))).unwrap_or_default();
    format!("{}{tag}", short(&pin.digest))
}

fn artifact(one: &ArtifactDifference, from: &str, style: Style) -> Vec<String> {
    let name = clean(&one.address.to_string());
    let what = match (&one.before, &one.after) {
        (_, None) => return vec![name, "only in the source".to_owned(), format!("\"{from}\" alone has it")],
        (Some(before), Some(after)) if before.digest == after.digest => format!("{} already", pin(after)),
        (Some(before), Some(after)) => format!("{} -> {}", pin(before), pin(after)),
        (None, Some(after)) => pin(after),
    };
    vec![name, what, proven(from, style)]
}

fn proven(from: &str, style: Style) -> String {
    style.paint(Ink::Green, &format!("proven in \"{from}\""))
}

fn not_proven(style: Style) -> String {
    style.paint(Ink::Yellow, NOT_PROVEN)
}

fn migration(rows: &mut Vec<Vec<String>>, one: &MigrationDifference, from: &str, style: Style) {
    let name = clean(&one.address.to_string());
    let version = |v: Option<u64>| v.map_or_else(|| "nothing".to_owned(), |v| v.to_string());
    if one.pending.is_empty() {
        rows.push(vec![name, format!("version {} already", version(one.before)), proven(from, style)]);
        return;
    }
    let all = one.pending.iter().all(|(_, same)| *same);
    let what = format!("version {} -> {}", version(one.before), version(one.after));
    rows.push(vec![name, what, if all { proven(from, style) } else { not_proven(style) }]);
    for (file, same) in &one.pending {
        let word = if *same { String::new() } else { not_proven(style) };
        rows.push(vec![String::new(), format!("  {}", clean(file)), word]);
    }
}

fn configuration(rows: &mut Vec<Vec<String>>, difference: &Difference, target: &str, from: &str, style: Style) {
    let shared = format!("{} outside environments/{}/", count(difference.proven, "file"), clean(target));
    rows.push(vec!["configuration".to_owned(), shared, proven(from, style)]);
    for file in &difference.own {
        rows.push(vec![String::new(), clean(file), format!("\"{}\" alone has it", clean(target))]);
    }
    for file in &difference.unproven {
        rows.push(vec![String::new(), clean(file), not_proven(style)]);
    }
}

fn variable(one: &VariableDifference, from: &str) -> Vec<String> {
    let shown = |value: &Option<Value>| {
        value.as_ref().map_or_else(
            || "(no such variable)".to_owned(),
            |v| {
                let text = value::value(v);
                let mut lines = text.lines();
                let first = lines.next().unwrap_or_default().to_owned();
                if lines.next().is_some() { format!("{first} …") } else { first }
            },
        )
    };
    let source = format!("{} in \"{from}\"", shown(&one.source));
    vec![format!("var.{}", clean(&one.name)), shown(&one.target), source]
}

fn checks(rows: &mut Vec<Vec<String>>, difference: &Difference, from: &str, style: Style) {
    for address in &difference.passed {
        rows.push(vec![clean(&address.to_string()), "passed".to_owned(), proven(from, style)]);
    }
    for address in &difference.unasked {
        rows.push(vec![clean(&address.to_string()), "did not pass or run there".to_owned(), not_proven(style)]);
    }
}
