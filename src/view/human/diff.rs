//! Values and their differences, part by part.

use std::collections::BTreeSet;
use std::sync::Arc;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::page::{Mark, Page};
use super::text;
use crate::addr::is_identifier;
use crate::diag::escape_controls;
use crate::value::{Kind, Map, Path, PathStep, Type, Value};
use crate::view::mask::{SENSITIVE, UNKNOWN};
use crate::view::words::count;

/// How many pairs of items two lists may have to be aligned by their longest common part; beyond, items are compared by position.
const ALIGNED_MAX: usize = 4_000_000;
/// How many items or elements of one value are shown on each side of a change.
const ITEMS_MAX: usize = 500;

/// What is known of a change beyond its two sides.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// Where the plan says that they differ; it compared secrets by their digests, which a view cannot.
    pub(super) differs: &'a [Path],
    /// Where a difference forces a replacement.
    pub(super) replaces: &'a [Path],
}

impl Ways<'_> {
    /// Nothing is known.
    pub(super) const NONE: Ways<'static> = Ways { differs: &[], replaces: &[] };

    fn note(&self, at: &Path) -> &'static str {
        if self.replaces.iter().any(|p| same_way(p, at)) { " # forces replacement" } else { "" }
    }

    /// Whether the plan says that something at this place or in it differs.
    fn touches(&self, at: &Path) -> bool {
        self.differs.iter().any(|p| {
            let n = p.0.len().min(at.0.len());
            same_steps(&p.0[..n], &at.0[..n])
        })
    }

    /// Whether a part is unchanged.
    pub(super) fn unchanged(&self, at: &Path, before: &Value, after: &Value) -> bool {
        let secret = before.marks_deep().is_sensitive() || after.marks_deep().is_sensitive();
        alike(before, after) && !(secret && self.touches(at))
    }
}

fn same_way(a: &Path, b: &Path) -> bool {
    a.0.len() == b.0.len() && same_steps(&a.0, &b.0)
}

fn same_steps(a: &[PathStep], b: &[PathStep]) -> bool {
    a.iter().zip(b).all(|(x, y)| match (x, y) {
        (PathStep::Attribute(m) | PathStep::Key(m), PathStep::Attribute(n) | PathStep::Key(n)) => m == n,
        _ => x == y,
    })
}

/// Whether two values look the same: marks aside, lists and tuples alike. Of a secret that only its digest is at hand
/// nobody here can tell, so it counts as the same unless both are digests.
pub(super) fn alike(a: &Value, b: &Value) -> bool {
    match (a.sealed_digest(), b.sealed_digest()) {
        (Some(x), Some(y)) => return x == y,
        (Some(_), None) | (None, Some(_)) => return true,
        (None, None) => {}
    }
    match (a.as_items(), b.as_items()) {
        (Some(x), Some(y)) => return x.len() == y.len() && x.iter().zip(y).all(|(x, y)| alike(x, y)),
        (None, None) => {}
        _ => return false,
    }
    match (a.as_map(), b.as_map()) {
        (Some(x), Some(y)) => x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| alike(v, w))),
        (None, None) if a.is_null() || b.is_null() => a.is_null() && b.is_null(),
        (None, None) => Value::from(a.kind.clone()) == Value::from(b.kind.clone()),
        _ => false,
    }
}

/// A value that fits on one line; `None` for collections with something in them and texts of several lines.
pub(super) fn inline(value: &Value) -> Option<String> {
    if value.marks.is_sensitive() {
        return Some(SENSITIVE.into());
    }
    match &value.kind {
        Kind::String(s) if text::lines_of(s).is_some() => None,
        Kind::Unknown(_) => Some(UNKNOWN.into()),
        _ if value.children().next().is_some() => None,
        _ => Some(escape_controls(&crate::value::show(value)).into_owned()),
    }
}

/// A name in front of a value: as it is where it may be, else quoted; padded to `width`.
fn label(name: &str, quoted: bool, width: usize) -> String {
    let name = name_text(name, quoted);
    let pad = width.saturating_sub(name.chars().count());
    format!("{name}{} = ", " ".repeat(pad))
}

fn name_text(name: &str, quoted: bool) -> String {
    if quoted || !is_identifier(name) {
        escape_controls(&crate::value::show(&Value::string(name))).into_owned()
    } else {
        name.to_owned()
    }
}

/// Writes a value whose parts all share the fate of `inner`. `lead` stands before it, `tail` behind it.
pub(super) fn whole(page: &mut Page, depth: usize, marks: (Mark, Mark), lead: &str, value: &Value, tail: &str) {
    let (mark, inner) = marks;
    if let Some(text) = inline(value) {
        page.line(depth, mark, &format!("{lead}{text}{tail}"));
        return;
    }
    if let Some(lines) = value.as_str().and_then(text::lines_of) {
        text::write_whole(page, depth, mark, lead, &lines, tail);
        return;
    }
    if let Some(items) = value.as_items() {
        page.line(depth, mark, &format!("{lead}["));
        for item in items.iter().take(ITEMS_MAX) {
            whole(page, depth + 1, (inner, inner), "", item, ",");
        }
        more(page, depth + 1, items.len(), "element");
        page.line(depth, Mark::Keep, &format!("]{tail}"));
    } else if let Some(map) = value.as_map() {
        page.line(depth, mark, &format!("{lead}{{"));
        whole_map(page, depth + 1, inner, map, matches!(value.kind, Kind::Map(..)));
        page.line(depth, Mark::Keep, &format!("}}{tail}"));
    }
}

fn whole_map(page: &mut Page, depth: usize, mark: Mark, map: &Map, quoted: bool) {
    let shown: Vec<_> = map.iter().filter(|(_, v)| quoted || !v.is_null()).collect();
    let width = shown.iter().map(|(k, _)| name_text(k, quoted).chars().count()).max().unwrap_or(0);
    for (name, value) in shown.iter().take(ITEMS_MAX) {
        whole(page, depth, (mark, mark), &label(name, quoted, width), value, "");
    }
    more(page, depth, shown.len(), "element");
}

fn more(page: &mut Page, depth: usize, total: usize, what: &str) {
    if total > ITEMS_MAX {
        page.comment(depth, &format!("({} not shown)", count(total - ITEMS_MAX, &format!("more {what}"))));
    }
}

/// The attributes of an object that comes or goes as a whole; `tail` stands behind each.
pub(super) fn whole_attributes(page: &mut Page, depth: usize, mark: Mark, map: &Map, tail: &str) {
    let shown: Vec<_> = map.iter().filter(|(_, v)| !v.is_null()).collect();
    let width = shown.iter().map(|(k, _)| name_text(k, false).chars().count()).max().unwrap_or(0);
    for (name, value) in shown {
        whole(page, depth, (mark, mark), &label(name, false, width), value, tail);
    }
}

/// Writes two values that differ. The caller has seen that they do.
fn changed(page: &mut Page, depth: usize, lead: &str, at: &Path, sides: (&Value, &Value), end: &str, ways: Ways<'_>) {
    let (before, after) = sides;
    let note = ways.note(at);
    if before.marks.is_sensitive() || after.marks.is_sensitive() {
        page.line(depth, Mark::Change, &format!("{lead}{SENSITIVE}{end}{note}"));
        return;
    }
    if let (Some(old), Some(new)) = (before.as_str(), after.as_str())
        && text::write_difference(page, depth, lead, (old, new), &format!("{end}{note}"))
    {
        return;
    }
    match (inline(before), inline(after)) {
        (Some(old), Some(new)) => page.line(depth, Mark::Change, &format!("{lead}{old} -> {new}{end}{note}")),
        (None, Some(new)) if after.is_unknown() => {
            whole(page, depth, (Mark::Change, Mark::Remove), lead, before, &format!(" -> {new}{end}{note}"));
        }
        _ => parts(page, depth, lead, at, sides, end, ways),
    }
}

fn parts(page: &mut Page, depth: usize, lead: &str, at: &Path, sides: (&Value, &Value), end: &str, ways: Ways<'_>) {
    let (before, after) = sides;
    let note = ways.note(at);
    let start = |page: &mut Page, bracket: &str| {
        page.line(depth, Mark::Change, &format!("{lead}{bracket}{note}"));
        page.length()
    };
    let (opened, bracket) = match (before.as_items(), after.as_items()) {
        (Some(old), Some(new)) => {
            let opened = start(page, "[");
            if matches!(before.kind, Kind::Set(..)) || matches!(after.kind, Kind::Set(..)) {
                set_parts(page, depth + 1, old, new);
            } else {
                list_parts(page, depth + 1, at, old, new, ways);
            }
            (opened, "]")
        }
        _ => match (before.as_map(), after.as_map()) {
            (Some(old), Some(new)) => {
                let opened = start(page, "{");
                let quoted = matches!(after.kind, Kind::Map(..));
                entries(page, depth + 1, at, (old, new), quoted, ways);
                (opened, "}")
            }
            _ => {
                whole(page, depth, (Mark::Remove, Mark::Remove), lead, before, end);
                whole(page, depth, (Mark::Add, Mark::Add), lead, after, &format!("{end}{note}"));
                return;
            }
        },
    };
    if page.length() == opened {
        page.comment(depth + 1, "(sensitive parts of it change)");
    }
    page.line(depth, Mark::Keep, &format!("{bracket}{end}"));
}

/// What becomes of an entry.
enum Fate<'v> {
    Changes(&'v Value, &'v Value),
    Goes(&'v Value),
    Comes(&'v Value),
    Stays(&'v Value),
}

/// Writes the entries of two maps or objects that differ, and counts the others.
pub(super) fn entries<'v>(
    page: &mut Page,
    depth: usize,
    at: &Path,
    (before, after): (&'v Map, &'v Map),
    quoted: bool,
    ways: Ways<'_>,
) {
    let names: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
    let mut rows = Vec::new();
    let mut hidden = 0;
    for name in names {
        let way = at.then(if quoted { PathStep::Key(name.clone()) } else { PathStep::Attribute(name.clone()) });
        let there = |map: &'v Map| map.get(name).filter(|v| !v.is_null());
        let fate = match (there(before), there(after)) {
            (None, None) => continue,
            (Some(old), None) => Fate::Goes(old),
            (None, Some(new)) => Fate::Comes(new),
            (Some(old), Some(new)) if !ways.unchanged(&way, old, new) => Fate::Changes(old, new),
            // An object's identity and name say which one it is, so they are shown for orientation, as in Terraform.
            (_, Some(new)) if !quoted && matches!(&**name, "id" | "name") && inline(new).is_some() => Fate::Stays(new),
            _ => {
                hidden += 1;
                continue;
            }
        };
        rows.push((name, way, fate));
    }
    let width = rows.iter().map(|(name, ..)| name_text(name, quoted).chars().count()).max().unwrap_or(0);
    let total = rows.len();
    for (name, way, fate) in rows.into_iter().take(ITEMS_MAX) {
        let lead = label(name, quoted, width);
        let note = ways.note(&way);
        match fate {
            Fate::Changes(old, new) => changed(page, depth, &lead, &way, (old, new), "", ways),
            Fate::Goes(old) => {
                whole(page, depth, (Mark::Remove, Mark::Remove), &lead, old, &format!(" -> null{note}"));
            }
            Fate::Comes(new) => whole(page, depth, (Mark::Add, Mark::Add), &lead, new, note),
            Fate::Stays(new) => whole(page, depth, (Mark::Keep, Mark::Keep), &lead, new, ""),
        }
    }
    more(page, depth, total, "element");
    if hidden > 0 {
        let what = if quoted { "unchanged element" } else { "unchanged attribute" };
        page.comment(depth, &format!("({} hidden)", count(hidden, what)));
    }
}

fn set_parts(page: &mut Page, depth: usize, before: &[Value], after: &[Value]) {
    let gone = |a: &[Value], b: &[Value]| -> Vec<Value> {
        let b: BTreeSet<Value> = b.iter().map(plain).collect();
        a.iter().filter(|v| !b.contains(&plain(v))).cloned().collect()
    };
    let (removed, added) = (gone(before, after), gone(after, before));
    for (mark, values) in [(Mark::Remove, &removed), (Mark::Add, &added)] {
        for value in values.iter().take(ITEMS_MAX) {
            whole(page, depth, (mark, mark), "", value, ",");
        }
        more(page, depth, values.len(), "element");
    }
    let kept = before.len() - removed.len();
    if kept > 0 {
        page.comment(depth, &format!("({} hidden)", count(kept, "unchanged element")));
    }
}

/// A value by which items are told apart: marks aside, and the same for a list, set or tuple of the same items, because
/// recorded values come back without their types.
fn plain(value: &Value) -> Value {
    value.map_parts(&mut |part| {
        Value::from(match part.kind {
            Kind::List(_, items) | Kind::Set(_, items) => Kind::Tuple(items),
            Kind::Map(_, m) => Kind::Object(m),
            Kind::Null(_) => Kind::Null(Type::Any),
            other => other,
        })
    })
}

fn list_parts(page: &mut Page, depth: usize, at: &Path, before: &[Value], after: &[Value], ways: Ways<'_>) {
    let ops = align(before, after);
    let last = ops.len().saturating_sub(1);
    for (i, op) in ops.iter().enumerate() {
        if let DiffOp::Equal { old_index, len, .. } = *op {
            // One unchanged item on each side of a change says where in the list it is.
            let (head, tail) = (usize::from(i > 0), usize::from(i < last));
            // A line that says that one is hidden takes as much room as the one.
            let hide = Some(len.saturating_sub(head + tail)).filter(|n| *n > 1).unwrap_or(0);
            for (n, item) in before[old_index..old_index + len].iter().enumerate() {
                if n == head && hide > 0 {
                    page.comment(depth, &format!("({} hidden)", count(hide, "unchanged element")));
                }
                if n < head || n >= head + hide {
                    whole(page, depth, (Mark::Keep, Mark::Keep), "", item, ",");
                }
            }
            continue;
        }
        let (old, new) = (op.old_range(), op.new_range());
        let pairs = old.len().min(new.len());
        for n in 0..pairs.min(ITEMS_MAX) {
            let way = at.then(PathStep::Index(new.start + n));
            changed(page, depth, "", &way, (&before[old.start + n], &after[new.start + n]), ",", ways);
        }
        more(page, depth, pairs, "element");
        for (mark, rest) in
            [(Mark::Remove, &before[old.start + pairs..old.end]), (Mark::Add, &after[new.start + pairs..new.end])]
        {
            for item in rest.iter().take(ITEMS_MAX) {
                whole(page, depth, (mark, mark), "", item, ",");
            }
            more(page, depth, rest.len(), "element");
        }
    }
}

/// Which items stay, come and go.
fn align(before: &[Value], after: &[Value]) -> Vec<DiffOp> {
    let order: Vec<Value> = before.iter().chain(after).map(plain).collect::<BTreeSet<_>>().into_iter().collect();
    let number = |v: &Value| order.binary_search(&plain(v)).unwrap_or(usize::MAX);
    let (a, b): (Vec<usize>, Vec<usize>) = (before.iter().map(number).collect(), after.iter().map(number).collect());
    if a.len().saturating_mul(b.len()) <= ALIGNED_MAX {
        return capture_diff_slices(Algorithm::Myers, &a, &b);
    }
    let common = a.len().min(b.len());
    let mut ops = Vec::new();
    for i in 0..common {
        match (a[i] == b[i], ops.last_mut()) {
            (true, Some(DiffOp::Equal { len, .. })) => *len += 1,
            (true, _) => ops.push(DiffOp::Equal { old_index: i, new_index: i, len: 1 }),
            (false, Some(DiffOp::Replace { old_len, new_len, .. })) => {
                *old_len += 1;
                *new_len += 1;
            }
            (false, _) => ops.push(DiffOp::Replace { old_index: i, old_len: 1, new_index: i, new_len: 1 }),
        }
    }
    if a.len() > common {
        ops.push(DiffOp::Delete { old_index: common, old_len: a.len() - common, new_index: common });
    }
    if b.len() > common {
        ops.push(DiffOp::Insert { old_index: common, new_index: common, new_len: b.len() - common });
    }
    ops
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::Style;
    use crate::view::samples::{CANARY, number, object, string};

    fn difference(before: Value, after: Value) -> String {
        let mut page = Page::new(Style::Plain);
        let (a, b) = (object([("a", before)]), object([("a", after)]));
        let differs = [Path::attribute("a")];
        let ways = Ways { differs: &differs, replaces: &[] };
        let empty = Map::new();
        let sides = (a.as_map().unwrap_or(&empty), b.as_map().unwrap_or(&empty));
        entries(&mut page, 0, &Path::default(), sides, false, ways);
        page.finish()
    }

    fn map(items: &[(&str, &str)]) -> Value {
        Value::map(Type::String, items.iter().map(|(k, v)| ((*k).into(), string(v))).collect())
    }

    #[test]
    fn maps_by_key() {
        let text = difference(
            map(&[("a b", "1"), ("gone", "2"), ("same", "3")]),
            map(&[("a b", "4"), ("new", "5"), ("same", "3")]),
        );
        assert_eq!(
            text,
            "  ~ a = {\n      ~ \"a b\"  = \"1\" -> \"4\"\n      - \"gone\" = \"2\" -> null\n      + \"new\"  = \"5\"\n        \
             # (1 unchanged element hidden)\n    }\n"
        );
    }

    #[test]
    fn sets_by_membership_and_lists_by_place() {
        let set = |items: &[i64]| Value::set(Type::Number, items.iter().map(|n| number(*n)));
        assert_eq!(
            difference(set(&[1, 2, 3]), set(&[2, 3, 4])),
            "  ~ a = [\n      - 1,\n      + 4,\n        # (2 unchanged elements hidden)\n    ]\n"
        );
        let list = |items: &[i64]| Value::list(Type::Number, items.iter().map(|n| number(*n)).collect::<Vec<_>>());
        assert_eq!(
            difference(list(&[1, 2, 3, 4, 5, 6]), list(&[1, 2, 3, 4, 6, 7])),
            "  ~ a = [\n        # (3 unchanged elements hidden)\n        4,\n      - 5,\n        6,\n      + 7,\n    ]\n"
        );
    }

    #[test]
    fn another_kind_of_value_goes_and_comes() {
        assert_eq!(
            difference(string("x"), Value::tuple([string("x")])),
            "  - a = \"x\"\n  + a = [\n      + \"x\",\n    ]\n"
        );
        assert_eq!(difference(number(1), string("1")), "  ~ a = 1 -> \"1\"\n");
    }

    #[test]
    fn a_secret_inside_is_told_but_not_shown() {
        let with = |secret: Value| object([("host", string("h")), ("password", secret)]);
        let sealed = Value::sealed(Type::String, "digest");
        let text = difference(with(sealed.clone()), with(string(CANARY).sensitive()));
        assert_eq!(
            text,
            "  ~ a = {\n      ~ password = (sensitive value)\n        # (1 unchanged attribute hidden)\n    }\n"
        );
        // In a list nobody can say which item it is: that something sensitive changes has to be said all the same.
        let text = difference(Value::tuple([sealed]), Value::tuple([string(CANARY).sensitive()]));
        assert!(text.contains("(sensitive") && !text.contains(CANARY), "{text}");
    }

    #[test]
    fn the_layout_of_json_is_no_change_of_it() {
        assert_eq!(
            difference(string("{\"a\":1,\"b\":2}"), string("{ \"b\": 2, \"a\": 1 }")),
            "  ~ a = jsonencode(\n        # (only the layout of the text changes)\n    )\n"
        );
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            ".{0,20}".prop_map(|s| string(&s)),
            "(a\n|\\{\"x\":|[0-9]|\\}|\u{1b}|\u{202e}){0,8}".prop_map(|s| string(&s)),
            any::<i64>().prop_map(number),
            any::<bool>().prop_map(Value::bool),
            Just(Value::null(Type::Any)),
            Just(Value::opaque(Type::Any)),
            Just(string(CANARY).sensitive()),
            Just(Value::sealed(Type::String, "digest")),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(4, 40, 5, |inner| {
            let names = || "[a-c]|id|name|.{0,3}";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::tuple),
                proptest::collection::vec(inner.clone(), 0..5).prop_map(|v| Value::set(Type::Any, v)),
                proptest::collection::btree_map(names(), inner.clone(), 0..5).prop_map(Value::object_of),
                proptest::collection::btree_map(names(), inner, 0..5)
                    .prop_map(|m| Value::map(Type::Any, m.into_iter().map(|(k, v)| (k.into(), v)).collect())),
            ]
        })
    }

    proptest! {
        /// Whatever the values: no panic, no secret, no control character, and something is said of a difference.
        #[test]
        fn any_two_values(before in value(), after in value()) {
            let text = difference(before.clone(), after.clone());
            prop_assert!(!text.contains(CANARY));
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
            let bidi = text.contains('\u{202e}');
            prop_assert!(!bidi);
            let gone = before.is_null() && after.is_null();
            prop_assert!(gone || alike(&before, &after) || text.lines().any(|l| l.trim_start().starts_with(['~', '+', '-', '#'])));
        }
    }
}
