//! Who may use whom: the table of ARCHITECTURE.md, over the paths that the sources name.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::scan::Source;

/// The words, in their order: each may use those before it, and every other module may use them all.
const WORDS: [&str; 6] = ["addr", "value", "diag", "graph", "eval", "event"];

/// What each module may use beside the words and itself. A module that is not listed may be used by nobody and use
/// nothing, so that a new one has to be entered here, in the light.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("ports", &[]),
    ("postgres", &[]),
    // Signatures and the decision over them: pure, so that whoever plans, carries out or shows judges by the same rules.
    ("sign", &[]),
    ("config", &["ports"]),
    ("ledger", &["ports", "postgres"]),
    ("plan", &["config", "ledger", "provider", "sign"]),
    ("review", &["config", "ledger", "plan"]),
    ("provider", &["ports"]),
    ("migrate", &["ports", "postgres"]),
    ("probe", &["ports"]),
    ("notify", &["ports"]),
    ("exec", &["plan", "ledger", "provider", "postgres", "migrate", "probe", "ports"]),
    ("ops", &["config", "ledger", "plan", "review", "provider", "migrate", "probe", "notify", "exec", "ports", "sign"]),
    // The simulated world: tests alone, around the product's own commands.
    ("sim", &["config", "ledger", "plan", "provider", "migrate", "probe", "exec", "ops", "ports"]),
    ("view", &["plan", "ledger"]),
    // The face of the process: its arguments, environment, terminal and clock (docs/decisions).
    ("cli", &["ops", "view", "ports"]),
];

/// Modules that may not use even the words, or only some.
const FEWER_WORDS: [(&str, &[&str]); 2] = [("ports", &[]), ("cli", &["diag", "addr", "event"])];

/// Parts of a module that are nobody's business but those of the modules that name them here.
const CONCRETE: [(&str, &[&str], &[&str]); 3] = [
    ("provider", &["local", "kubernetes", "aws", "fake"], &["ops"]),
    ("ledger", &["local", "s3", "postgres", "format", "seal"], &["ops"]),
    ("config", &["syntax", "token"], &["ops"]),
];

/// Crates that only some modules may know.
const CRATES: [(&str, &[&str]); 23] = [
    ("age", &["ledger"]),
    ("aws_config", &["ledger"]),
    ("aws_credential_types", &["ledger"]),
    ("aws_sigv4", &["ledger"]),
    ("aws_smithy_runtime_api", &["ledger"]),
    ("aws_smithy_types", &["ledger"]),
    ("aws_smithy_xml", &["ledger"]),
    ("aws_types", &["ledger"]),
    ("kube", &["provider"]),
    ("k8s_openapi", &["provider"]),
    ("tokio", &["ports", "ledger", "provider", "migrate", "probe", "notify", "exec", "ops", "view", "cli", "main"]),
    ("sqlx", &["ledger", "migrate", "postgres"]),
    ("reqwest", &["ledger", "provider", "probe", "notify", "ops"]),
    ("hyper", &["provider", "probe"]),
    ("hyper_util", &["provider", "probe"]),
    ("tonic", &["provider", "probe"]),
    ("tonic_health", &["provider", "probe"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli", "main"]),
    ("indicatif", &["view"]),
    ("rustyline", &["cli"]),
    ("getrandom", &["ports"]),
    ("ssh_key", &["sign"]),
];

/// The files of `config` that may ask the disk: what the first reads becomes part of the bundle, what the others read must
/// not (docs/decisions/2026-11-20-variable-files-are-read-beside-the-bundle.md).
const READ_FOR_CONFIG: [&str; 3] = ["src/config/source.rs", "src/config/variables.rs", "src/config/project.rs"];

/// Uses of a module of this crate that the table does not allow.
pub(crate) fn who_may_use_whom(source: &Source) -> Vec<Finding> {
    let module = source.module();
    let Some(from) = module.first().filter(|name| source.path != "src/lib.rs" && *name != "main") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if !is_known(from) {
        findings.push(source.finding(
            1,
            "layers",
            format!("module `{from}` is not in the table of tests/tidy/layers.rs"),
        ));
    }
    for path in source.paths() {
        let Some((to, inner)) = inside_this_crate(&path.segments) else { continue };
        let shown = path.segments.join("::");
        if !may_use(from, to) {
            findings.push(source.finding(path.line, "layers", format!("`{from}` may not know `{to}` (`{shown}`)")));
        } else if from == to {
            findings
                .extend(sibling(source, &module, inner).map(|message| source.finding(path.line, "layers", message)));
        } else if is_closed(from, to, inner) {
            findings.push(source.finding(
                path.line,
                "layers",
                format!("`{shown}` is closed to `{from}`: see `{to}`'s essay"),
            ));
        } else if from == "config" && inner == Some("fs") && !source.is_in(&READ_FOR_CONFIG) {
            let advice = format!("only {} may ask the disk in config, not `{shown}`", READ_FOR_CONFIG.join(" and "));
            findings.push(source.finding(path.line, "layers", advice));
        }
    }
    findings
}

/// Uses of an outside crate by a module that may not know it.
pub(crate) fn outside_crates(source: &Source) -> Vec<Finding> {
    let module = source.module();
    let from = module.first().map_or(if source.path == "src/main.rs" { "main" } else { "lib" }, String::as_str);
    let mut findings = Vec::new();
    for path in source.paths() {
        let known = CRATES.iter().find(|(name, _)| *name == path.segments[0]);
        if let Some((name, allowed)) = known
            && !allowed.contains(&from)
        {
            let shown = path.segments.join("::");
            findings.push(source.finding(path.line, "crates", format!("`{from}` may not know {name} (`{shown}`)")));
        }
    }
    findings
}

/// A cycle among the modules at the top, with the place of each link; at most one is reported, since breaking it may
/// break the others.
pub(crate) fn cycles(sources: &[Source]) -> Vec<Finding> {
    let mut edges: BTreeMap<String, BTreeMap<String, (String, usize)>> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.path.starts_with("src/")) {
        let module = source.module();
        let Some(from) = module.first() else { continue };
        for path in source.paths() {
            if let Some((to, _)) = inside_this_crate(&path.segments)
                && to != from
            {
                let place = (source.path.clone(), path.line);
                edges.entry(from.clone()).or_default().entry(to.to_owned()).or_insert(place);
            }
        }
    }
    let mut clean = BTreeSet::new();
    for start in edges.keys() {
        let mut trail = Vec::new();
        if let Some(cycle) = find_cycle(start, &edges, &mut trail, &mut clean) {
            return vec![describe(&cycle, &edges)];
        }
    }
    Vec::new()
}

type Edges = BTreeMap<String, BTreeMap<String, (String, usize)>>;

fn find_cycle(at: &str, edges: &Edges, trail: &mut Vec<String>, clean: &mut BTreeSet<String>) -> Option<Vec<String>> {
    if let Some(start) = trail.iter().position(|name| name == at) {
        return Some(trail[start..].to_vec());
    }
    if clean.contains(at) {
        return None;
    }
    trail.push(at.to_owned());
    let next: Vec<&String> = edges.get(at).map(|to| to.keys().collect()).unwrap_or_default();
    for to in next {
        if let Some(cycle) = find_cycle(to, edges, trail, clean) {
            return Some(cycle);
        }
    }
    trail.pop();
    clean.insert(at.to_owned());
    None
}

fn describe(cycle: &[String], edges: &Edges) -> Finding {
    let links: Vec<String> = (0..cycle.len())
        .map(|i| {
            let (from, to) = (&cycle[i], &cycle[(i + 1) % cycle.len()]);
            let (path, line) = &edges[from][to];
            format!("{from} uses {to} at {path}:{line}")
        })
        .collect();
    let (path, line) = edges[&cycle[0]][&cycle[1 % cycle.len()]].clone();
    Finding { path, line, rule: "cycle", message: links.join(", ") }
}

fn is_known(module: &str) -> bool {
    WORDS.contains(&module) || MAY_USE.iter().any(|(name, _)| *name == module)
}

fn may_use(from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    if let Some(own) = WORDS.iter().position(|w| *w == from) {
        return WORDS[..own].contains(&to);
    }
    if WORDS.contains(&to) {
        return FEWER_WORDS.iter().find(|(name, _)| *name == from).is_none_or(|(_, words)| words.contains(&to));
    }
    MAY_USE.iter().any(|(name, others)| *name == from && others.contains(&to))
}

/// The module at the top that a path inside this crate names, and the name after it. `crate::NAME` where NAME is no
/// module is something that `lib.rs` defines, and of no interest.
fn inside_this_crate(segments: &[String]) -> Option<(&str, Option<&str>)> {
    let [root, to, rest @ ..] = segments else { return None };
    (root == "crate" && is_known(to)).then(|| (to.as_str(), rest.first().map(String::as_str)))
}

/// A concrete provider that uses another one.
fn sibling(source: &Source, module: &[String], inner: Option<&str>) -> Option<String> {
    let (_, concrete, _) = CONCRETE.iter().find(|(name, ..)| *name == "provider")?;
    let (own, inner) = (module.get(1)?, inner?);
    let crossing = source.path.starts_with("src/provider/")
        && concrete.contains(&own.as_str())
        && concrete.contains(&inner)
        && own != inner;
    crossing.then(|| format!("provider `{own}` may not know its sibling `{inner}`"))
}

fn is_closed(from: &str, to: &str, inner: Option<&str>) -> bool {
    CONCRETE.iter().any(|(name, parts, friends)| {
        *name == to && !friends.contains(&from) && inner.is_some_and(|inner| parts.contains(&inner))
    })
}
