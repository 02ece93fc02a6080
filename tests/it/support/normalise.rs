//! What differs from run to run, replaced by its name: directories, ports, digests, identities, times, durations.

use std::sync::LazyLock;

use regex::Regex;

/// In this order: each pattern sees what those before it left.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d| UTC)?", "{time}"),
        (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\b", "{time}"),
        (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "{time}"),
        (r"\bblobs/[0-9a-f]{2}/[0-9a-f]{62}\b", "blobs/{digest}"),
        (r"\b[0-9a-f]{64}\b", "{digest}"),
        // Shorter identities and shortened digests; a decimal number of that length is none of ours.
        (r"\b[0-9a-f]{12,63}\b", "{id}"),
        (r"\bpid \d+", "pid {pid}"),
        (r"\bprocess \d+ with PORT \d+", "process {pid} with PORT {port}"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:{another}"),
        (r"\bin \d+(\.\d+)? (ms|s)\b", "in {duration}"),
        (r"\bafter \d+ attempts\b", "after {n} attempts"),
        (r"\(\d+ attempts\)", "({n} attempts)"),
        (r"\bafter \d+\.\d s( to \d+\.\d s, \d+ times shown here,)?", "after {duration}"),
        // A pod of a Deployment, and its ReplicaSet.
        (r"\b[a-z]+-[0-9a-f]{8,10}-[a-z0-9]{5}\b", "{pod}"),
        (r"\b[a-z]+-[0-9a-f]{10}\b", "{id}"),
        (r"\(\d+ bytes\)", "({n} bytes)"),
        // In a table the width of a column follows the longest time in it.
        (r"\} +\d+(\.\d+)?(ms|s) +", "} {duration}  "),
        (r"\bTOOK +BY\b", "TOOK  BY"),
        // Only where time was measured: a duration that is part of the configuration stays.
        (r"\b(?P<word>after|took|in|for) (\d+(\.\d+)?(ms|µs|s|m|h) ?)+", "$word {duration}"),
    ]
    .into_iter()
    .map(|(pattern, name)| (Regex::new(pattern).expect("the pattern is valid"), name))
    .collect()
});

/// Replaces what `own` names (its text by its name, the longest first), then what the patterns find.
pub(crate) fn normalise(text: &str, own: &[(String, String)]) -> String {
    let mut own: Vec<&(String, String)> = own.iter().collect();
    own.sort_by_key(|(found, _)| std::cmp::Reverse(found.len()));
    let named = own.into_iter().fold(text.to_owned(), |text, (found, name)| replace(&text, found, name));
    let replaced = PATTERNS.iter().fold(named, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned());
    let mut lines: Vec<&str> = replaced.lines().map(str::trim_end).collect();
    // How often something was said again in the time that a machine had is no part of what is expected.
    lines.retain(|line| !line.ends_with("s elapsed]"));
    // That something was waited for is said only where it took its time.
    lines.retain(|line| !line.contains(": Ready after "));
    lines.dedup();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines.join("\n")
}

/// A number is replaced only as a whole: a port's digits may stand in a digest too.
fn replace(text: &str, found: &str, name: &str) -> String {
    if found.bytes().all(|b| b.is_ascii_digit()) {
        let whole = Regex::new(&format!(r"\b{found}\b")).expect("digits are a valid pattern");
        whole.replace_all(text, name).into_owned()
    } else {
        text.replace(found, name)
    }
}

#[test]
fn what_differs_gets_its_name() {
    let own = [("/tmp/x", "{sandbox}"), ("/tmp/x/project", "{project}"), ("21111", "{port}")];
    let own = own.map(|(found, name)| (found.to_owned(), name.to_owned()));
    let cases = [
        ("in /tmp/x/project/a and /tmp/x/home", "in {project}/a and {sandbox}/home"),
        (&format!("localhost:21111 {}", "21111a".repeat(2)), "localhost:{port} {id}"),
        ("at 2026-11-20T23:59:01.5Z, 12:00:01", "at {time}, {time}"),
        ("date: Sat, 21 Nov 2026 23:59:01 GMT", "date: {time}"),
        (&format!("sha256:{} [id=0123456789ab]", "a1".repeat(32)), "sha256:{digest} [id={id}]"),
        ("complete after 1.2s, took 3m 4s", "complete after {duration}, took {duration}"),
        ("timeout = \"20s\"   \n\n", "timeout = \"20s\""),
        ("pid 4711 has 12 of 5000", "pid {pid} has 12 of 5000"),
    ];
    for (text, expected) in cases {
        assert_eq!(normalise(text, &own), expected);
    }
}
