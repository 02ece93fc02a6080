//! Laws of the language, held against random expressions over random values.
//!
//! What is known gives what is known; a plan's unknown value, finished with what came at apply, is what the expression gives
//! with that from the start; a promise made of it is kept; a mark stays on whatever it influenced; conversions and
//! unifications obey their algebra; and nothing panics.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry::addr::Address;
use gantry::config::parse_expression;
use gantry::diag::{Diagnostic, FileId};
use gantry::eval::{Budget, Evaluator, NoHost, Reference, Scope};
use gantry::ports::{env, id};
use gantry::value::{Kind, Marks, Refinement, Residual, Results, Type, Value, conversion, convert, show, unify};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

use super::tape::{Tape, VARIABLES, type_of, value_of};

/// How many expressions each law is held against that are the same every time.
const CASES: u32 = 2000;

/// The same expressions every time, so that a test run says something about the change at hand.
const FIXED: u64 = 42;

/// What a law says of what is drawn from a row of bytes.
type Law = fn(&[u8]) -> Result<(), TestCaseError>;

/// Holds a law against the same expressions as ever. `PROPTEST_CASES` searches among so many others that no run has seen, and
/// `GANTRY_LAWS_SEED` repeats a search that found something.
fn hold(law: Law) {
    let given = env::var("GANTRY_LAWS_SEED").and_then(|seed| seed.parse().ok());
    let more = env::var("PROPTEST_CASES").and_then(|number| number.parse().ok());
    let other = more.map(|_| u64::from_le_bytes(id::random()));
    let seed = given.or(other).unwrap_or(FIXED);
    let (cases, rng_seed) = (more.unwrap_or(CASES), RngSeed::Fixed(seed));
    let config = ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() };
    let bytes = proptest::collection::vec(any::<u8>(), 40..160);
    match TestRunner::new(config).run(&bytes, |bytes| law(&bytes)) {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("with GANTRY_LAWS_SEED={seed}: {why}"),
        Err(TestError::Abort(why)) => panic!("given up with GANTRY_LAWS_SEED={seed}: {why}"),
    }
}

/// The values of the variables.
type World = BTreeMap<&'static str, Value>;

struct Variables<'w>(&'w World);

impl Scope for Variables<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let value = self.0.get(&*reference.root).cloned().map(|value| (value, 0));
        value.ok_or_else(|| Box::new(Diagnostic::error("Reference to something undeclared", "")))
    }
}

/// What the steps behind the unknown variables answer.
struct Answers<'w>(&'w World);

fn node(name: &str) -> Address {
    format!("terraform_data.{name}").parse().expect("an address")
}

impl Results for Answers<'_> {
    fn result(&self, wanted: &Address) -> Option<Value> {
        let found = self.0.iter().find(|(name, _)| node(name) == *wanted);
        found.map(|(_, value)| value.clone())
    }

    fn draw(&self, _: &str) -> Option<Value> {
        None
    }
}

fn evaluate(expression: &str, world: &World) -> Result<Value, Box<Diagnostic>> {
    let term = parse_expression(expression, FileId(0)).unwrap_or_else(|e| panic!("{expression} parses: {e:?}"));
    let budget = Budget::new(200_000);
    Evaluator { scope: &Variables(world), host: &NoHost, budget: &budget, site: &"here" }.evaluate(&Arc::new(term))
}

fn world(tape: &mut Tape<'_>) -> World {
    VARIABLES.iter().map(|name| (*name, value_of(tape, &type_of(name), 2))).collect()
}

/// The value as a plan may know it: not at all, or parts of it not, with or without a promise that is true.
fn planned(tape: &mut Tape<'_>, name: &str, value: &Value) -> Value {
    if !tape.one_in(3) {
        return value.clone();
    }
    let unknown = Value::unknown(value.ty(), Residual::from(node(name))).mark(value.marks);
    match tape.pick(4) {
        0 => unknown,
        1 if value.is_null() => unknown,
        1 => unknown.refined(&Refinement::not_null()),
        2 if !value.is_null() => unknown.refined(&wider(tape, &value.range())),
        // Of a single value of open type Terraform assumes that it will be of its neighbours' type: tolist([x, 1]).
        _ if type_of(name).is_primitive() => unknown,
        _ => Value::unknown(Type::Any, Residual::from(node(name))).mark(value.marks),
    }
}

/// A promise that is no stronger.
fn wider(tape: &mut Tape<'_>, range: &Refinement) -> Refinement {
    let prefix: String = range.prefix.chars().take(tape.pick(4)).collect();
    Refinement {
        not_null: true,
        prefix: prefix.into(),
        least: range.least.as_ref().map(|n| n.sub(&tape.pick(3).into())),
        most: range.most.as_ref().map(|n| n.add(&tape.pick(3).into())),
        shortest: range.shortest.saturating_sub(tape.pick(2)),
        longest: range.longest.map(|n| n + tape.pick(2)),
    }
}

/// Whether a value has a type as far as that is known.
fn conforms(value: &Value, ty: &Type) -> bool {
    match (&value.kind, ty) {
        (_, Type::Any)
        | (Kind::Null(_), _)
        | (Kind::Bool(_), Type::Bool)
        | (Kind::Number(_), Type::Number)
        | (Kind::String(_), Type::String) => true,
        (Kind::List(_, items), Type::List(t)) | (Kind::Set(_, items), Type::Set(t)) => {
            items.iter().all(|v| conforms(v, t))
        }
        (Kind::Map(_, m), Type::Map(t)) => m.values().all(|v| conforms(v, t)),
        (Kind::Tuple(items), Type::Tuple(all)) => {
            items.len() == all.len() && items.iter().zip(all.iter()).all(|(v, t)| conforms(v, t))
        }
        (Kind::Object(m), Type::Object(all)) => {
            m.keys().eq(all.keys()) && m.values().zip(all.values()).all(|(v, a)| conforms(v, &a.ty))
        }
        (Kind::Unknown(unknown), _) => conversion(&unknown.ty, ty).is_some(),
        _ => false,
    }
}

/// Whether what came keeps what was planned: known parts are the same, unknown ones have their type and keep the promise.
fn keeps(came: &Value, planned: &Value) -> bool {
    match (&came.kind, &planned.kind) {
        (_, Kind::Unknown(unknown)) => {
            let promised = unknown.refinement.as_ref().is_none_or(|r| r.admits(came));
            promised && conforms(came, &unknown.ty)
        }
        (Kind::List(_, x), Kind::List(_, y)) | (Kind::Tuple(x), Kind::Tuple(y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| keeps(x, y))
        }
        (Kind::Set(_, x), Kind::Set(_, y)) if !planned.is_wholly_known() => {
            let (shortest, longest) = planned.length_bounds();
            let known = y.iter().filter(|v| v.is_wholly_known()).all(|v| x.contains(v));
            known && x.len() >= shortest && longest.is_none_or(|most| x.len() <= most)
        }
        (Kind::Map(_, x), Kind::Map(_, y)) | (Kind::Object(x), Kind::Object(y)) => {
            x.keys().eq(y.keys()) && x.values().zip(y.values()).all(|(x, y)| keeps(x, y))
        }
        _ => same(came, planned),
    }
}

/// Equal but for marks and for what a conditional converts to the type of its other side, which it does only if that side has
/// a type already and does not fail: 1 and "1" are the same here, sequences of the same, maps and objects, all nulls.
fn same(a: &Value, b: &Value) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Null(_), Kind::Null(_)) => true,
        (Kind::List(_, x) | Kind::Tuple(x) | Kind::Set(_, x), Kind::List(_, y) | Kind::Tuple(y) | Kind::Set(_, y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| same(x, y))
        }
        (Kind::Map(_, x) | Kind::Object(x), Kind::Map(_, y) | Kind::Object(y)) => {
            x.keys().eq(y.keys()) && x.values().zip(y.values()).all(|(x, y)| same(x, y))
        }
        _ => {
            let text = |v: &Value| convert(&v.unmark_deep().0, &Type::String);
            a.unmark_deep().0 == b.unmark_deep().0 || text(a).is_ok_and(|a| text(b) == Ok(a))
        }
    }
}

/// Whether something in the expression is of open type while planning. Terraform assumes that it will be of its neighbours'
/// type: in a collection, beside it in a conditional, as a default. Of an object in a `merge` it assumes that it is not null.
fn assumes(expression: &str, before: &World) -> bool {
    const SOURCES: [&str; 9] = ["lookup(", "merge(", "for ", "{ (", "[*]", "}[", ")[", "o[", "]["];
    before.values().any(|v| matches!(&v.kind, Kind::Unknown(unknown) if unknown.ty == Type::Any))
        || SOURCES.iter().any(|part| expression.contains(part))
}

/// Whether every place at which two values differ is below a mark, in both. The side of a conditional that is not taken tells
/// by failing, which may depend on anything, whether the other one is converted to its type: as in Terraform. So a tuple may be
/// a list or a set of the same there, and an object a map.
fn differ_below_marks(a: &Value, b: &Value, conditional: bool) -> bool {
    if a.marks.is_sensitive() && b.marks.is_sensitive() {
        return true;
    }
    match (&a.kind, &b.kind) {
        (Kind::List(_, x), Kind::List(_, y)) | (Kind::Tuple(x), Kind::Tuple(y)) if x.len() == y.len() => {
            x.iter().zip(y.iter()).all(|(x, y)| differ_below_marks(x, y, conditional))
        }
        (Kind::Map(_, x) | Kind::Object(x), Kind::Map(_, y) | Kind::Object(y)) if x.keys().eq(y.keys()) => {
            let kind = conditional || std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind);
            kind && x.values().zip(y.values()).all(|(x, y)| differ_below_marks(x, y, conditional))
        }
        // As sets, for that is what they may have been on the way.
        (Kind::Tuple(x) | Kind::List(_, x) | Kind::Set(_, x), Kind::Tuple(y) | Kind::List(_, y) | Kind::Set(_, y))
            if conditional =>
        {
            let within =
                |x: &[Value], y: &[Value]| x.iter().all(|x| y.iter().any(|y| differ_below_marks(x, y, conditional)));
            within(x, y) && within(y, x)
        }
        _ => same(a, b),
    }
}

fn text(value: &Result<Value, Box<Diagnostic>>) -> String {
    match value {
        Ok(value) => format!(
            "{} {} of {}",
            show(&value.unmark_deep().0),
            if value.marks_deep().is_sensitive() { "(marked)" } else { "" },
            value.ty()
        ),
        Err(e) => format!("error: {}: {}", e.summary, e.detail),
    }
}

fn about(expression: &str, world: &World) -> String {
    let values: Vec<String> = world.iter().map(|(n, v)| format!("{n} = {}", show(&v.unmark_deep().0))).collect();
    format!("{expression}\nwith {}", values.join(", "))
}

#[test]
fn what_is_known_gives_what_is_known() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let (world, expression) = (world(&mut tape), tape.any(4));
        if let Ok(value) = evaluate(&expression, &world) {
            prop_assert!(value.is_wholly_known(), "{}\ngives {}", about(&expression, &world), show(&value));
        }
        Ok(())
    });
}

#[test]
fn what_is_finished_is_what_would_have_been() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let world = world(&mut tape);
        let before: World = world.iter().map(|(name, value)| (*name, planned(&mut tape, name, value))).collect();
        // `"x${s}" == null` is known to be false, as in Terraform, also where `s` will fail; `try` would tell of that.
        tape.without_try();
        let expression = tape.any(4);
        let (plan, direct) = (evaluate(&expression, &before), evaluate(&expression, &world));
        let about = format!(
            "{}\nplanned {}\nknowing {}\ndirect  {}",
            about(&expression, &world),
            text(&plan),
            about(&expression, &before),
            text(&direct)
        );
        match (&plan, &direct) {
            // Where one side of a logical operator fails, the other may still decide when it is known; Terraform refuses the
            // plan all the same since 1.12.
            (Err(_), Ok(_)) if expression.contains("&&") || expression.contains("||") => {}
            // The side that is not taken may fail when it is known, and then its type, which the plan minded, does not matter.
            (Err(e), Ok(_)) if e.summary == "Inconsistent conditional result types" => {}
            // What has no elements has them only as null, in front of a splat: Terraform refuses that as well.
            (Err(e), Ok(_)) if e.summary == "Invalid index" && expression.contains("[*]") => {}
            // A list of open type beside others Terraform refuses while that is open.
            (Err(e), Ok(_)) if e.detail.contains("of any single type") && !e.detail.contains("map of") => {}
            (Err(e), Ok(_))
                if e.detail.contains("the same type as the map elements") && assumes(&expression, &before) => {}
            (Err(_), Ok(_)) => prop_assert!(false, "the plan refuses what is right: {about}"),
            (Ok(plan), Ok(direct)) => {
                let finished = plan.finish(&Answers(&world));
                // What comes instead of what Terraform assumes of an open type ([`assumes`]) the run refuses.
                let assumed = assumes(&expression, &before);
                if assumed && finished.as_ref().is_err_and(|e| e.summary == "Unsuitable value") {
                    return Ok(());
                }
                prop_assert!(finished.is_ok(), "{finished:?}: {about}");
                let finished = finished.unwrap();
                // A side of a conditional is converted to the other's type, but not where that is open, or fails when it is
                // known and is asked no more. In JSON that shows, and in the length of a set.
                // How many attributes a `merge` has, an object tells only if it is not null.
                let converted = expression.contains('?') && (assumed || expression.contains("jsonencode("));
                if converted || expression.contains("merge(") {
                    return Ok(());
                }
                prop_assert!(same(&finished, direct), "finished as {}: {about}", show(&finished));
                prop_assert!(keeps(&finished, plan), "{:?}: {about}", plan.range());
            }
            // What a plan knows although a part of it will fail, it knows as Terraform does.
            _ => {}
        }
        Ok(())
    });
}

#[test]
fn a_mark_stays_on_what_it_influences() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let mut first = world(&mut tape);
        let name = VARIABLES[tape.pick(VARIABLES.len())];
        let mut second = first.clone();
        for world in [&mut first, &mut second] {
            world.insert(name, value_of(&mut tape, &type_of(name), 2).mark(Marks::SENSITIVE));
        }
        // What fails may depend on anything, and `try` and `can` tell of it, as in Terraform.
        tape.without_try();
        let expression = tape.any(4);
        if let (Ok(a), Ok(b)) = (evaluate(&expression, &first), evaluate(&expression, &second)) {
            prop_assert!(
                differ_below_marks(&a, &b, expression.contains('?')),
                "{name} is sensitive: {}\nand {}\n{}\n{}",
                about(&expression, &first),
                about(&expression, &second),
                text(&Ok(a)),
                text(&Ok(b))
            );
        }
        Ok(())
    });
}

#[test]
fn nothing_panics() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let world = world(&mut tape);
        let before: World = world.iter().map(|(name, value)| (*name, planned(&mut tape, name, value))).collect();
        tape.wild();
        let expression = tape.any(5);
        if let Ok(value) = evaluate(&expression, &before) {
            let _ = value.finish(&Answers(&world));
        }
        Ok(())
    });
}

#[test]
fn conversions_obey_their_laws() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let (from, to) = (tape.ty(3), tape.ty(3));
        if from.has_any() {
            // No value has such a type in all of its parts.
            return Ok(());
        }
        let value = value_of(&mut tape, &from, 2);
        let Ok(converted) = convert(&value, &to) else { return Ok(()) };
        let about = format!("{} of {from} as {to} is {} of {}", show(&value), show(&converted), converted.ty());
        let again = convert(&converted, &to);
        prop_assert!(again.as_ref() == Ok(&converted), "{about}, and again {again:?}");
        prop_assert!(conforms(&converted, &to), "{about}");
        // What a value can be converted to, its type can as well, and a value not known yet becomes the same.
        let by_type = conversion(&value.ty(), &to);
        if let Some(ty) = &by_type {
            prop_assert!(conforms(&converted, ty), "{about}, by its type {ty}");
            let later = Value::unknown(value.ty(), Residual::from(node("x")));
            let world = World::from([("x", value.clone())]);
            let later = convert(&later, &to).map_err(|e| TestCaseError::fail(format!("{about}, later: {e}")))?;
            let finished = later.finish(&Answers(&world));
            prop_assert!(finished.as_ref().is_ok_and(|v| same(v, &converted)), "{about}, later {finished:?}");
        }
        Ok(())
    });
}

#[test]
fn unification_obeys_its_laws() {
    hold(|bytes| {
        let mut tape = Tape::new(bytes);
        let (a, b) = (tape.ty(3), tape.ty(3));
        let both = unify(&[a.clone(), b.clone()]);
        prop_assert_eq!(&both, &unify(&[b.clone(), a.clone()]), "{} and {}", a, b);
        prop_assert_eq!(unify(&[a.clone(), a.clone()]), Some(a.clone()));
        if let Some(both) = both {
            for ty in [&a, &b] {
                prop_assert!(conversion(ty, &both).is_some(), "{} cannot become {}", ty, both);
            }
        }
        Ok(())
    });
}
