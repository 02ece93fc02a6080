//! What is meant to run away ends in a sentence that names the limit, through the command line: definitions that double,
//! nesting without end, ranges, templates, regular expressions and YAML meant to explode. (How fast is told by a release build;
//! here it is bounded work that is proved, for a limit that is not kept would keep the machine busy for hours.)

use super::support::Sandbox;

const LARGE: &str = "more than 1,000,000 elements or 64 MB of text";
const WORK: &str = "takes more work than the limit of";

/// Requires that `validate` does not accept the configuration, and names the limit.
fn refused(configuration: &str, limit: &str) {
    refused_by(&["validate e"], configuration, limit);
}

fn refused_by(commands: &[&str], configuration: &str, limit: &str) {
    let sandbox = Sandbox::new();
    sandbox.write("environments/e/main.hcl", configuration);
    for command in commands {
        let said = sandbox.run(command).exits(1).stderr;
        let flowing = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(limit), "{command} of {configuration:.200} says\n{said}");
    }
}

/// As many local values as fit into 875 bytes, each made of the one before twice.
fn doubling(first: &str, next: fn(&str) -> String) -> String {
    doubling_in(845, first, next)
}

fn doubling_in(room: usize, first: &str, next: fn(&str) -> String) -> String {
    let (mut text, mut last) = (format!("locals {{\na={first}\n"), 'a');
    for name in ('b'..='z').chain('A'..='Z') {
        let line = format!("{name}={}\n", next(&format!("local.{last}")));
        if text.len() + line.len() > room {
            break;
        }
        text.push_str(&line);
        last = name;
    }
    text + &format!("}}\noutput \"o\" {{ value=local.{last} }}\n")
}

#[test]
fn locals_that_double() {
    refused(&doubling("[\"x\"]", |x| format!("concat({x},{x})")), LARGE);
    refused(&doubling("\"x\"", |x| format!("\"${{{x}}}${{{x}}}\"")), LARGE);
    refused(&doubling("\"x\"", |x| format!("jsonencode([{x},{x}])")), LARGE);
}

/// These share their parts, so that making them takes neither work nor memory: it is whoever looks at them that is kept.
#[test]
fn locals_that_hold_each_other_twice() {
    let both = ["validate e", "plan e"];
    refused_by(&both, &doubling("\"x\"", |x| format!("[{x},{x}]")), LARGE);
    refused_by(&both, &doubling("\"x\"", |x| format!("{{a={x},b={x}}}")), LARGE);
    refused_by(&both, &doubling("timestamp()", |x| format!("[{x},{x}]")), LARGE);
}

#[test]
fn an_expression_that_holds_its_parts_twice() {
    let (mut text, mut last) = ("[for b in [[a,a]]:".to_owned(), 'b');
    for name in ('c'..='z').chain('A'..='Z') {
        text += &format!("[for {name} in [[{last},{last}]]:");
        last = name;
    }
    let ends = "]".repeat(text.matches("[for").count());
    refused(&format!("output \"o\" {{ value=[for a in [1]:{text}{last}{ends}] }}\n"), LARGE);
}

#[test]
fn nesting_without_end() {
    for (open, close) in [("[", "]"), ("(", ")"), ("[", ""), ("\"${", "}\"")] {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        refused(&format!("locals {{\n  a = {open}1{close}\n}}\n"), "nested up to 200 levels deep");
    }
    refused(&"b {\n".repeat(100_000), "nested up to 200 levels deep");
}

#[test]
fn ranges_and_loops() {
    refused("output \"o\" { value = range(1000000000) }\n", "more than 1024 values were generated");
    let loops = "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : a]]]";
    refused(&format!("output \"o\" {{ value = {loops} }}\n"), WORK);
}

#[test]
fn templates_that_double() {
    refused(&doubling_in(2000, "\"x\"", |x| format!("\"%{{for x in [1,2]}}${{{x}}}%{{endfor}}\"")), LARGE);
    let (loops, ends) = ("%{for x in l}%{for y in l}%{for z in l}${x}", "%{endfor}%{endfor}%{endfor}");
    let inline = loops.replace("in l", "in local.l");
    refused(&format!("locals {{\n  l = range(1000)\n  t = \"{inline}{ends}\"\n}}\n"), WORK);
    let quoted = format!("{loops}{ends}").replace("${", "$${").replace("%{", "%%{");
    refused(
        &format!(
            "locals {{\n  l = range(1000)\n  t = templatestring(local.s, {{ l = local.l }})\n  s = \"{quoted}\"\n}}\n"
        ),
        WORK,
    );
}

#[test]
fn regular_expressions_meant_to_explode() {
    let refuse = |pattern: &str, limit: &str| {
        refused(&format!("output \"o\" {{ value = regexall({pattern}, \"a\") }}\n"), limit);
    };
    refuse("\"((a{1000}){1000}){1000}\"", "invalid regexp pattern: expression too large");
    refuse(
        "join(\"\", [for i in range(1000) : \"((((((((((\"])",
        "invalid regexp pattern: expression nests too deeply",
    );
    // Where an engine that goes back takes for ever, this one does not: it ends, and finds nothing.
    let sandbox = Sandbox::new();
    let many = "join(\"\", [for i in range(1000) : \"aaaaaaaaaa\"])";
    sandbox
        .write("environments/e/main.hcl", &format!("output \"o\" {{ value = regexall(\"(a*)*(a*)*b\", {many}) }}\n"));
    drop(sandbox.run("validate e").succeeds());
}

#[test]
fn yaml_whose_aliases_explode() {
    let line = |(a, b): (char, char)| format!("{b}: &{b} [{}]\\n", vec![format!("*{a}"); 9].join(","));
    let lines: String = ('a'..'j').zip('b'..='j').map(line).collect();
    let bomb = format!("a: &a [x,x,x,x,x,x,x,x,x]\\n{lines}");
    refused(
        &format!("output \"o\" {{ value = yamldecode(\"{bomb}\") }}\n"),
        "with its aliases the document has more than",
    );
}
