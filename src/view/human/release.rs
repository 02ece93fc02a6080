//! A release, as an environment knows it.

use super::page::Page;
use crate::ledger::release;
use crate::ledger::release::{Evidence, Quarantined, Release};
use crate::view::words::{clean, sentence, short, table, time};
use crate::view::{Ink, Style};

/// What an environment knows of a release.
pub struct KnownRelease<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The release.
    pub release: &'a Release,
    /// The generations that it was there.
    pub generations: &'a [u64],
    /// Whether it is what the environment is now.
    pub current: bool,
    /// Why it must not come again, if so.
    pub quarantined: Option<&'a Quarantined>,
}

/// A release: where it comes from, what is in it, and what was seen of it.
#[must_use]
pub fn release(known: &KnownRelease<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    let (release, id) = (known.release, known.release.id());
    page.heading(&format!("Release {}", release::short(&id)));
    let numbers: Vec<String> = known.generations.iter().map(ToString::to_string).collect();
    let now = if known.current { ", which is what runs now" } else { "" };
    let generations = format!("generation {} of \"{}\"{now}", numbers.join(", "), clean(known.environment));
    let mut rows = vec![
        vec!["name".to_owned(), id],
        vec!["proven".to_owned(), format!("generation {} of \"{}\"", release.generation, clean(&release.environment))],
        vec!["here".to_owned(), generations],
        vec!["configuration".to_owned(), short(&release.configuration)],
    ];
    if let Some(quarantined) = known.quarantined {
        let Quarantined { generation, time: at, actor, reason, .. } = quarantined;
        let word = style.paint(Ink::Red, "yes");
        let why = sentence(reason);
        let at = time(at);
        rows.push(vec![
            "quarantined".to_owned(),
            format!("{word}, since generation {generation} ({at}, {}): {why}", clean(actor)),
        ]);
    }
    for (address, pin) in &release.artifacts {
        let tag = pin.tag.as_ref().map(|tag| format!(" (tag {})", clean(tag))).unwrap_or_default();
        rows.push(vec![clean(&address.to_string()), format!("{} {}{tag}", clean(&pin.digest), clean(&pin.source))]);
    }
    for (address, all) in &release.migrations {
        for one in all {
            let text = format!("{:04} {} {}", one.version, clean(&one.name), short(&one.checksum));
            rows.push(vec![clean(&address.to_string()), text]);
        }
    }
    for (address, Evidence { passed, sentence: why, .. }) in &release.evidence {
        let word = if *passed { "passed" } else { "failed" };
        rows.push(vec![clean(&address.to_string()), format!("{word}: {}", sentence(why))]);
    }
    table(&rows).lines().for_each(|line| page.prose(&format!("  {line}")));
    page.finish()
}
