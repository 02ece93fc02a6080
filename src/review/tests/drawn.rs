//! Configurations drawn by lot, deployed, changed and destroyed: whatever the planner makes of them keeps the rules.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::world::World;
use crate::plan::Options;

/// How many nodes a configuration may have: enough for chains, forks and joins, few enough that a failure can be read.
const NODES: usize = 6;

/// A node as drawn; in which order the nodes may refer to each other is drawn apart.
#[derive(Debug, Clone)]
struct Drawn {
    /// Which type: 0 in-process, 1 a command, 2 a workload; 3 a check.
    kind: u8,
    there: bool,
    /// A change of this updates it.
    value: u8,
    /// A change of this replaces it.
    trigger: u8,
    create_first: bool,
    count: Option<u8>,
    /// Which of the nodes before it in the order it refers to, and which it names in `depends_on` only.
    refers: [bool; NODES],
    names: [bool; NODES],
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let flags = || proptest::array::uniform::<_, NODES>(proptest::bool::weighted(0.3));
    (
        0..4_u8,
        proptest::bool::weighted(0.8),
        0..2_u8,
        0..3_u8,
        any::<bool>(),
        proptest::option::of(0..3_u8),
        flags(),
        flags(),
    )
        .prop_map(|(kind, there, value, trigger, create_first, count, refers, names)| Drawn {
            kind,
            there,
            value,
            trigger,
            create_first,
            count,
            refers,
            names,
        })
}

fn configuration() -> impl Strategy<Value = (Vec<Drawn>, Vec<usize>)> {
    (proptest::collection::vec(drawn(), NODES), Just((0..NODES).collect::<Vec<_>>()).prop_shuffle())
}

const TYPES: [&str; 4] = ["terraform_data", "local_command", "local_service", "smoke_test"];

fn text(nodes: &[Drawn], kinds: &[u8], order: &[usize]) -> String {
    let mut out = String::new();
    let name = |n: usize| format!("{}.n{n}", TYPES[usize::from(kinds[n])]);
    for (place, n) in order.iter().copied().enumerate().filter(|(_, n)| nodes[*n].there) {
        let node = &nodes[n];
        let below = |flags: &[bool; NODES]| -> Vec<usize> {
            order[..place].iter().copied().filter(|b| flags[*b] && nodes[*b].there).collect()
        };
        let refers: Vec<String> = below(&node.refers)
            .into_iter()
            .filter(|b| kinds[*b] < 3)
            .map(|b| format!("{}[*].id", id(kinds[b], &name(b))))
            .collect();
        let value = format!(
            "join(\",\", flatten([{}\"{}\"]))",
            refers.iter().fold(String::new(), |s, r| s + r + ", "),
            node.value
        );
        let names: Vec<String> = below(&node.names).into_iter().map(name).collect();
        let (block, body) = match kinds[n] {
            0 => ("resource \"terraform_data\"", format!("input = {value}\n  triggers_replace = {}", node.trigger)),
            1 => (
                "resource \"local_command\"",
                format!(
                    "create = [\"make\"]\n  update = [\"make\"]\n  environment = {{ V = {value} }}\n  triggers = {}",
                    node.trigger
                ),
            ),
            2 => (
                "resource \"local_service\"",
                format!(
                    "command = [\"serve\"]\n  port = {}\n  environment = {{ V = {value} }}",
                    8000 + 10 * n + usize::from(node.trigger)
                ),
            ),
            _ => ("smoke_test", format!("http {{ url = \"http://127.0.0.1/${{{value}}}\" }}")),
        };
        let repeated = node.count.filter(|_| kinds[n] < 2).map_or(String::new(), |c| format!("count = {c}\n  "));
        let lifecycle = if kinds[n] < 3 {
            format!("lifecycle {{ create_before_destroy = {} }}", node.create_first)
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "{block} \"n{n}\" {{\n  {repeated}{body}\n  depends_on = [{}]\n  {lifecycle}\n}}",
            names.join(", ")
        );
    }
    out
}

/// A command has no `id`; its output is what it answers.
fn id(kind: u8, name: &str) -> String {
    if kind == 1 { format!("[for c in {name}[*] : {{ id = c.stdout }}]") } else { name.to_owned() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_rules((first, order) in configuration(), (second, later) in configuration()) {
        let kinds: Vec<u8> = first.iter().map(|n| n.kind).collect();
        let mut world = World::of(&text(&first, &kinds, &order));
        let made = world.clean(&Options::default(), &[]);
        world.carry_out(&made.plan);
        let again = world.clean(&Options::default(), &[]);
        prop_assert_eq!(again.plan.working_steps(), 0);
        world.write(&text(&second, &kinds, &later));
        for n in (0..NODES).filter(|n| second[*n].there) {
            let target = format!("{}.n{n}", TYPES[usize::from(kinds[n])]).parse().unwrap();
            world.clean(&Options { targets: vec![target], ..Options::default() }, &[]);
        }
        let made = world.clean(&Options::default(), &[]);
        world.carry_out(&made.plan);
        world.clean(&Options { destroy: true, ..Options::default() }, &[]);
    }
}
