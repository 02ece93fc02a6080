//! A graph as text for programs that draw: DOT and Mermaid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::diag::escape_controls;

/// A graph in Graphviz's language. Each node comes with the nodes that it depends on; arrows point from a node to what it
/// depends on, as in `terraform graph`.
#[must_use]
pub fn dot(nodes: &[(String, Vec<String>)]) -> String {
    let quote = |name: &str| format!("\"{}\"", escape_controls(name).replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::from("digraph G {\n  rankdir = \"RL\";\n  node [shape = rect, fontname = \"sans-serif\"];\n");
    for (name, _) in nodes {
        let _ = writeln!(out, "  {};", quote(name));
    }
    for (name, needs) in nodes {
        for need in needs {
            let _ = writeln!(out, "  {} -> {};", quote(name), quote(need));
        }
    }
    out.push_str("}\n");
    out
}

/// A graph in Mermaid's language, for Markdown. Arrows point as in [`dot`]. Names stand in labels, because Mermaid's
/// identifiers take few characters.
#[must_use]
pub fn mermaid(nodes: &[(String, Vec<String>)]) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in nodes.iter().flat_map(|(name, needs)| std::iter::once(name).chain(needs)) {
        let next = numbers.len();
        numbers.entry(name).or_insert(next);
    }
    let label = |name: &str| escape_controls(name).replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;");
    let mut out = String::from("flowchart RL\n");
    let mut named: Vec<(&str, usize)> = numbers.iter().map(|(name, n)| (*name, *n)).collect();
    named.sort_by_key(|(_, n)| *n);
    for (name, n) in named {
        let _ = writeln!(out, "  n{n}[\"{}\"]", label(name));
    }
    for (name, needs) in nodes {
        for need in needs {
            let _ = writeln!(out, "  n{} --> n{}", numbers[name.as_str()], numbers[need.as_str()]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<(String, Vec<String>)> {
        vec![
            ("local_file.a[\"x\"]".into(), vec![]),
            ("local_service.shop".into(), vec!["local_file.a[\"x\"]".into(), "migration.schema".into()]),
        ]
    }

    #[test]
    fn dot_quotes_names() {
        assert_eq!(
            dot(&nodes()),
            "digraph G {\n  rankdir = \"RL\";\n  node [shape = rect, fontname = \"sans-serif\"];\n  \
             \"local_file.a[\\\"x\\\"]\";\n  \"local_service.shop\";\n  \
             \"local_service.shop\" -> \"local_file.a[\\\"x\\\"]\";\n  \"local_service.shop\" -> \"migration.schema\";\n}\n"
        );
    }

    #[test]
    fn mermaid_numbers_nodes_also_those_only_named() {
        assert_eq!(
            mermaid(&nodes()),
            "flowchart RL\n  n0[\"local_file.a[#quot;x#quot;]\"]\n  n1[\"local_service.shop\"]\n  n2[\"migration.schema\"]\n  \
             n1 --> n0\n  n1 --> n2\n"
        );
    }
}
