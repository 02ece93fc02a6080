//! What is done with a node and why, in words: the comment lines above its block.

use crate::plan::change::Previewed;
use crate::plan::{Change, ChangeKind, Reason};
use crate::view::words::{clean, count, sentence};

/// The comment lines above a change's block: what will happen, then why where that does not say it already.
pub(super) fn headlines(change: &Change) -> Vec<String> {
    let address = clean(&change.address.to_string());
    let mut lines = vec![format!("{address} {}", fate(change))];
    if let Some(from) = &change.moved_from
        && change.is_no_op()
    {
        lines[0] = format!("{} has moved to {address}", clean(&from.to_string()));
    }
    lines.extend(because(change).map(|why| format!("({why})")));
    if let Some(from) = &change.moved_from
        && !change.is_no_op()
    {
        lines.push(format!("(moved from {})", clean(&from.to_string())));
    }
    if let Some(id) = &change.importing {
        let id = clean(&crate::value::show(&crate::value::Value::string(id.as_str())));
        if !change.is_no_op() {
            lines.push(format!("(imported from {id})"));
        }
        if change.kind.is_replace() {
            lines.push("Warning: this will destroy the imported resource".to_owned());
        }
    }
    lines.extend(previewed(change));
    if let Some(resource) = change.resource()
        && !resource.leftovers.is_empty()
        && change.reason != Reason::LeftOver
    {
        lines.push(format!("({} without traffic will be retired)", count(resource.leftovers.len(), "version")));
    }
    lines
}

/// What the target said of the change, where it was asked.
fn previewed(change: &Change) -> Vec<String> {
    match change.resource().and_then(|resource| resource.preview.as_ref()) {
        None => Vec::new(),
        Some(Previewed::Not(why)) => vec![format!("(not previewed: {})", clean(why))],
        Some(Previewed::Yes(notes)) => notes.iter().map(|note| format!("(by itself: {})", clean(note))).collect(),
    }
}

fn fate(change: &Change) -> &'static str {
    match (change.kind, &change.reason) {
        _ if change.only_imports() => "will be imported",
        (ChangeKind::NoOp, _) => "stays as it is",
        (ChangeKind::Read, _) => "will be read during apply",
        (ChangeKind::Create, Reason::Vanished) => "will be created again",
        (ChangeKind::Create, _) => "will be created",
        (ChangeKind::Update, Reason::TakenOver) => "will be taken over as it is",
        (ChangeKind::Update, Reason::LeftOver) => "stays as it is, and a version left over will be retired",
        (ChangeKind::Update, _) => "will be updated in-place",
        (ChangeKind::ReplaceDeleteFirst | ChangeKind::ReplaceCreateFirst, Reason::Requested) => {
            "will be replaced, as requested"
        }
        (ChangeKind::ReplaceDeleteFirst | ChangeKind::ReplaceCreateFirst, Reason::Triggered(_)) => {
            "will be replaced due to changes in replace_triggered_by"
        }
        (ChangeKind::ReplaceDeleteFirst | ChangeKind::ReplaceCreateFirst, _) => "must be replaced",
        (ChangeKind::Delete, _) => "will be destroyed",
        (ChangeKind::Record, _) => "will be recorded as it is",
        (ChangeKind::Forget, Reason::Vanished) => "will no longer be recorded",
        (ChangeKind::Forget, _) => "will no longer be managed by Gantry, but will not be destroyed",
        (ChangeKind::Run, Reason::TakenBack) => "will be taken back",
        (ChangeKind::Run, Reason::Promoted) => "will be what was promoted",
        (ChangeKind::Run, _) => "will be run",
    }
}

/// Why, where the fate alone does not say it. Every reason is listed: a new one needs its words.
fn because(change: &Change) -> Option<String> {
    Some(match &change.reason {
        Reason::Vanished => "because it was recorded, but its target does not have it any more".into(),
        Reason::Drifted => "because its target has other values than were recorded".into(),
        Reason::NotReady(why) => format!("because it is not ready: {}", sentence(why)),
        Reason::NotKnownYet if change.kind == ChangeKind::Read => {
            "because its arguments are known after apply only".into()
        }
        Reason::NotKnownYet => "because a value of it is known after apply only".into(),
        Reason::UpToDate
        | Reason::New
        | Reason::ConfigurationChanged
        | Reason::Checked
        | Reason::Pending
        | Reason::Promoted => return None,
        // Where the attributes are marked one by one, naming them here would say it twice.
        Reason::CannotUpdate(_) if !change.replaces.is_empty() => return None,
        Reason::CannotUpdate(paths) if paths.is_empty() => return None,
        Reason::CannotUpdate(paths) => {
            let names: Vec<String> = paths.iter().map(|p| clean(&p.to_string())).collect();
            format!("because {} cannot be changed in place", names.join(", "))
        }
        Reason::MustReplace(why) => format!("because {}", uncapital(&sentence(why))),
        Reason::Requested => "because of --replace".into(),
        Reason::Triggered(what) => format!("because {} changes", clean(what)),
        Reason::NotInConfiguration => {
            format!("because {} is not in configuration", clean(&change.address.block().to_string()))
        }
        Reason::NoModule => match change.address.module.is_root() {
            true => return None,
            false => format!("because {} is not in configuration", clean(&change.address.module.to_string())),
        },
        Reason::OtherRepetition => match &change.address.key {
            None => "because resource uses count or for_each".into(),
            Some(_) => "because resource does not use this kind of key any more".into(),
        },
        Reason::CountIndex(index) => format!("because index [{index}] is out of range for count"),
        Reason::EachKey(key) => format!("because key {} is not in for_each map", clean(&key.to_string())),
        Reason::Destroyed => "because the environment is destroyed".into(),
        Reason::TakenOver => "it is written once, so that its fields are ours: nothing of it changes".into(),
        Reason::LeftOver => "because a version without traffic was left over".into(),
        Reason::TakenBack => "because the configuration does not have it any more".into(),
        Reason::ToForget => "because destroy = false is set in a removed block".into(),
        Reason::ImportedLater => "because it was there before it was imported".into(),
        Reason::Kept(why) => clean(why),
        Reason::DependsOnChange => "because it depends on something that changes".into(),
    })
}

/// The reason in one word for programs; the same for ever.
pub(in crate::view) fn word(reason: &Reason) -> &'static str {
    match reason {
        Reason::UpToDate => "up_to_date",
        Reason::New => "new",
        Reason::Vanished => "vanished",
        Reason::ConfigurationChanged => "configuration_changed",
        Reason::Drifted => "drifted",
        Reason::NotReady(_) => "not_ready",
        Reason::NotKnownYet => "not_known_yet",
        Reason::CannotUpdate(_) => "cannot_update",
        Reason::MustReplace(_) => "must_replace",
        Reason::Requested => "requested",
        Reason::Triggered(_) => "triggered",
        Reason::NotInConfiguration => "not_in_configuration",
        Reason::NoModule => "no_module",
        Reason::OtherRepetition => "wrong_repetition",
        Reason::CountIndex(_) => "count_index",
        Reason::EachKey(_) => "each_key",
        Reason::Destroyed => "destroyed",
        Reason::TakenOver => "taken_over",
        Reason::LeftOver => "left_over",
        Reason::Checked => "checked",
        Reason::Pending => "pending",
        Reason::TakenBack => "taken_back",
        Reason::Promoted => "promoted",
        Reason::ToForget => "to_forget",
        Reason::DependsOnChange => "depends_on_change",
        Reason::ImportedLater => "imported_later",
        Reason::Kept(_) => "kept",
    }
}

fn uncapital(sentence: &str) -> String {
    let body = sentence.strip_suffix('.').unwrap_or(sentence);
    let mut chars = body.chars();
    // "HTTP …" and the like keep their capitals.
    match (chars.next(), body.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Key;
    use crate::value::Path;
    use crate::view::samples::{address, object, resource, string};

    fn lines(kind: ChangeKind, reason: Reason) -> String {
        let side = || Some(object([("a", string("x"))]));
        headlines(&resource("module.m.local_file.a[1]", kind, reason, side(), side())).join(" ")
    }

    #[test]
    fn every_reason_has_its_words() {
        use ChangeKind::{Create, Delete, Forget, Read, ReplaceCreateFirst, ReplaceDeleteFirst, Run, Update};
        let cases = [
            (Create, Reason::New, "will be created"),
            (
                Create,
                Reason::Vanished,
                "will be created again (because it was recorded, but its target does not have it any more)",
            ),
            (Update, Reason::ConfigurationChanged, "will be updated in-place"),
            (
                Update,
                Reason::Drifted,
                "will be updated in-place (because its target has other values than were recorded)",
            ),
            (
                Update,
                Reason::NotReady("1 of 2 replicas\n run.".into()),
                "will be updated in-place (because it is not ready: 1 of 2 replicas run.)",
            ),
            (Update, Reason::NotKnownYet, "will be updated in-place (because a value of it is known after apply only)"),
            (
                Update,
                Reason::TakenOver,
                "will be taken over as it is (it is written once, so that its fields are ours: nothing of it changes)",
            ),
            (
                Update,
                Reason::LeftOver,
                "stays as it is, and a version left over will be retired (because a version without traffic was left over)",
            ),
            (
                ReplaceDeleteFirst,
                Reason::CannotUpdate(vec![Path::attribute("a")]),
                "must be replaced (because a cannot be changed in place)",
            ),
            (
                ReplaceDeleteFirst,
                Reason::MustReplace("It has no update command.".into()),
                "must be replaced (because it has no update command)",
            ),
            (ReplaceCreateFirst, Reason::Requested, "will be replaced, as requested (because of --replace)"),
            (
                ReplaceCreateFirst,
                Reason::Triggered("local_file.b".into()),
                "will be replaced due to changes in replace_triggered_by (because local_file.b changes)",
            ),
            (
                Delete,
                Reason::NotInConfiguration,
                "will be destroyed (because module.m.local_file.a is not in configuration)",
            ),
            (Delete, Reason::CountIndex(1), "will be destroyed (because index [1] is out of range for count)"),
            (
                Delete,
                Reason::EachKey(Key::Name("k".into())),
                "will be destroyed (because key [\"k\"] is not in for_each map)",
            ),
            (Delete, Reason::Destroyed, "will be destroyed (because the environment is destroyed)"),
            (
                Forget,
                Reason::ToForget,
                "will no longer be managed by Gantry, but will not be destroyed (because destroy = false is set in a removed block)",
            ),
            (Read, Reason::NotKnownYet, "will be read during apply (because its arguments are known after apply only)"),
            (Read, Reason::DependsOnChange, "will be read during apply (because it depends on something that changes)"),
            (Run, Reason::Checked, "will be run"),
            (Run, Reason::Pending, "will be run"),
            (Run, Reason::TakenBack, "will be taken back (because the configuration does not have it any more)"),
        ];
        for (kind, reason, expected) in cases {
            assert_eq!(lines(kind, reason), format!("module.m.local_file.a[1] {expected}"));
        }
    }

    #[test]
    fn a_move_and_leftovers_are_said() {
        let side = || Some(object([("a", string("x"))]));
        let mut change = resource("local_file.b", ChangeKind::NoOp, Reason::UpToDate, side(), side());
        change.moved_from = Some(address("local_file.a"));
        if let crate::plan::Detail::Resource(detail) = &mut change.detail {
            detail.leftovers = vec![serde_json::json!("v1")];
        }
        assert_eq!(
            headlines(&change),
            ["local_file.a has moved to local_file.b", "(1 version without traffic will be retired)"]
        );
    }
}
