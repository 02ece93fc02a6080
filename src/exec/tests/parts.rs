//! The parts of values that steps answer, and the pure pieces of execution.

use std::collections::BTreeSet;

use super::super::machine::{Command, Event as Happened, Kind, Machine, Node, Policy, Status};
use super::super::request::{accept, op};
use super::*;
use crate::value::{Deferred, Results, Unfinished};

/// An attribute of a node's result.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) node: Address,
    pub(super) attribute: &'static str,
}

impl Deferred for Part {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let missing = |what: &str| Unfinished { summary: "Value not available".into(), detail: what.into() };
        let object = results.result(&self.node).ok_or_else(|| missing("the node has no result"))?;
        object.get(self.attribute).cloned().ok_or_else(|| missing("the result has no such attribute"))
    }

    fn needs(&self, nodes: &mut BTreeSet<Address>) {
        nodes.insert(self.node.clone());
    }

    fn text(&self) -> String {
        format!("{}.{}", self.node, self.attribute)
    }
}

/// Steps: what each comes after, and what it needs.
fn nodes(steps: &[(&[usize], Kind)]) -> Vec<Node> {
    steps.iter().map(|(after, kind)| Node { after: after.to_vec(), kind: *kind }).collect()
}

fn begin(machine: &mut Machine) -> Vec<Command> {
    machine.on(Happened::Begin { failed: Vec::new() })
}

fn failed(step: usize) -> Happened {
    Happened::Failed { step, sentence: format!("{step} is broken"), unclear: false }
}

const FREE: Kind = Kind::Free;

#[test]
fn what_is_unblocked_starts_and_barriers_pass_it_on() {
    let steps = nodes(&[(&[], FREE), (&[], FREE), (&[0, 1], Kind::Barrier), (&[2], Kind::Barrier), (&[3], FREE)]);
    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    assert_eq!(begin(&mut machine), [Command::Start(0), Command::Start(1)]);
    assert_eq!(machine.status(0), Status::Intending);
    assert_eq!(machine.on(Happened::Durable(0)), []);
    assert_eq!(machine.status(0), Status::Running);
    assert_eq!(machine.on(Happened::Succeeded(0)), []);
    assert_eq!(machine.on(Happened::Succeeded(1)), [Command::Start(4)]);
    assert_eq!((machine.status(2), machine.status(3)), (Status::Succeeded, Status::Succeeded));
    assert_eq!(machine.on(Happened::Succeeded(4)), [Command::Finish]);
    assert_eq!(machine.on(Happened::Succeeded(4)), [], "an end is told once");
}

#[test]
fn lanes_start_what_there_is_room_for() {
    let steps = nodes(&[(&[], Kind::Lane(0)), (&[], Kind::Lane(0)), (&[], Kind::Lane(1))]);
    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    assert_eq!(begin(&mut machine), []);
    assert_eq!((machine.waiting(0), machine.waiting(1), machine.status(0)), (2, 1, Status::Ready));
    assert_eq!(machine.on(Happened::Room { lane: 0, room: 1 }), [Command::Start(0)]);
    assert_eq!(machine.on(Happened::Room { lane: 1, room: 5 }), [Command::Start(2)]);
    machine.on(Happened::Succeeded(0));
    machine.on(failed(2));
    assert_eq!(machine.waiting(0), 0, "nothing new starts after a failure");
    assert_eq!(machine.status(1), Status::Skipped);
}

#[test]
fn a_failure_before_the_commit_waits_for_what_runs_and_goes_back_or_holds() {
    for (policy, end) in
        [(Policy::Rollback, Command::Unwind("0 is broken".into())), (Policy::Hold, Command::Hold("0 is broken".into()))]
    {
        let steps = nodes(&[(&[], FREE), (&[], FREE), (&[1], FREE)]);
        let mut machine = Machine::new(&steps, &[], policy, false);
        begin(&mut machine);
        assert_eq!(machine.on(failed(0)), []);
        assert!(machine.stopping());
        assert_eq!(machine.on(failed(1)), [end], "the first failure is the reason");
        assert_eq!((machine.status(0), machine.status(2)), (Status::Failed, Status::Skipped));
    }
}

#[test]
fn where_nobody_can_tell_it_holds_whatever_the_policy_is() {
    let mut machine = Machine::new(&nodes(&[(&[], FREE)]), &[], Policy::Rollback, false);
    begin(&mut machine);
    let event = Happened::Failed { step: 0, sentence: "look at it".into(), unclear: true };
    assert_eq!(machine.on(event), [Command::Hold("look at it".into())]);
}

#[test]
fn after_the_commit_what_does_not_depend_on_a_failure_goes_on() {
    let steps = nodes(&[(&[], Kind::Commit), (&[0], FREE), (&[0], FREE), (&[1], FREE), (&[2], FREE)]);
    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    assert_eq!(begin(&mut machine), [Command::Commit(0)]);
    assert_eq!(machine.on(Happened::Succeeded(0)), [Command::Start(1), Command::Start(2)]);
    assert!(machine.committed());
    assert_eq!(machine.on(failed(1)), []);
    assert_eq!(machine.status(3), Status::Skipped);
    assert_eq!(machine.on(Happened::Succeeded(2)), [Command::Start(4)]);
    assert_eq!(machine.on(Happened::Succeeded(4)), [Command::Hold("1 is broken".into())]);
}

#[test]
fn a_way_back_goes_on_past_a_failure() {
    let steps = nodes(&[(&[], FREE), (&[], Kind::Lane(0)), (&[0], FREE)]);
    let mut machine = Machine::new(&steps, &[], Policy::GoOn, false);
    begin(&mut machine);
    assert_eq!(machine.on(failed(0)), []);
    assert_eq!(machine.on(Happened::Room { lane: 0, room: 1 }), [Command::Start(1)]);
    assert_eq!(machine.on(Happened::Succeeded(1)), [Command::Hold("0 is broken".into())]);
}

#[test]
fn interrupts_stop_and_then_leave() {
    let steps = nodes(&[(&[], FREE), (&[0], FREE)]);
    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    begin(&mut machine);
    assert_eq!(machine.on(Happened::Interrupted(1)), []);
    assert!(machine.interrupted());
    assert_eq!(machine.on(Happened::Succeeded(0)), [Command::Hold("the run was interrupted".into())]);

    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    begin(&mut machine);
    machine.on(Happened::Interrupted(1));
    assert_eq!(
        machine.on(failed(0)),
        [Command::Hold("0 is broken".into())],
        "who stops a run looks before it goes back"
    );

    let mut machine = Machine::new(&steps, &[], Policy::Rollback, false);
    begin(&mut machine);
    assert_eq!(machine.on(Happened::Interrupted(2)), [Command::Leave]);
    assert_eq!(machine.on(Happened::Succeeded(0)), []);
}

#[test]
fn an_interrupt_after_the_last_step_started_does_not_spoil_it() {
    let mut machine = Machine::new(&nodes(&[(&[], FREE)]), &[], Policy::Rollback, false);
    begin(&mut machine);
    machine.on(Happened::Interrupted(1));
    assert_eq!(machine.on(Happened::Succeeded(0)), [Command::Finish]);
}

#[test]
fn a_run_goes_on_from_what_was_done_and_what_had_failed() {
    let steps = nodes(&[(&[], FREE), (&[0], FREE), (&[1], FREE), (&[], FREE)]);
    let mut machine = Machine::new(&steps, &[true, true, false, false], Policy::Rollback, false);
    assert_eq!(begin(&mut machine), [Command::Start(2), Command::Start(3)]);

    let mut machine = Machine::new(&steps, &[true, false, false, false], Policy::Rollback, false);
    let before = vec![(1, "it broke before".to_owned(), false)];
    assert_eq!(machine.on(Happened::Begin { failed: before }), [Command::Unwind("it broke before".into())]);

    let mut machine = Machine::new(&[], &[], Policy::Rollback, false);
    assert_eq!(begin(&mut machine), [Command::Finish], "a plan of nothing is done");
}

#[test]
fn acts_have_identities_of_their_own() {
    let a: Address = "fake_thing.a".parse().unwrap();
    let b: Address = "fake_thing.b".parse().unwrap();
    let first = op("l", &a, 1, "create", false, "r");
    assert_eq!(first, op("l", &a, 1, "create", false, "r"));
    assert_eq!(first.len(), 26);
    let others = [
        op("m", &a, 1, "create", false, "r"),
        op("l", &b, 1, "create", false, "r"),
        op("l", &a, 2, "create", false, "r"),
        op("l", &a, 1, "update", false, "r"),
        op("l", &a, 1, "create", true, "r"),
        op("l", &a, 1, "create", false, "s"),
    ];
    assert!(others.iter().all(|o| *o != first));
}

#[test]
fn an_answer_keeps_the_marks_of_what_was_asked_for_and_of_the_schema() {
    let schema = fake::schema(THING);
    let expected = with(&thing("a", "1"), "value", Value::string("hidden").sensitive());
    let answered = Value::object_of([
        ("name", Value::string("a")),
        ("value", Value::string("hidden")),
        ("token", Value::string("t")),
        ("secret", Value::null(Type::String)),
    ]);
    let (object, verdict) = accept(&answered, &expected, Some(&schema), Action::Create);
    assert_eq!(verdict, Ok(()));
    assert!(object.get("value").unwrap().marks.is_sensitive() && object.get("token").unwrap().marks.is_sensitive());
    assert!(!object.get("name").unwrap().marks.is_sensitive());

    let other = with(&answered, "value", Value::string("leaked"));
    let told = accept(&other, &expected, Some(&schema), Action::Create).1.unwrap_err();
    assert!(told.contains("value") && !told.contains("hidden") && !told.contains("leaked"), "{told}");
    let other = with(&answered, "name", Value::string("b"));
    let told = accept(&other, &expected, Some(&schema), Action::Create).1.unwrap_err();
    assert!(told.contains("name was planned as \"a\", and it answered \"b\""), "{told}");
}
