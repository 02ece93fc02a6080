//! Every built-in function against what Terraform 1.11 printed (`tests/language/functions.txt`), and the differences that
//! are meant (`tests/language/differences.txt`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry::config::parse_expression;
use gantry::diag::{Diagnostic, Diagnostics, FileId};
use gantry::eval::{Answer, Budget, Evaluator, Host, Reference, Scope, Syntax};
use gantry::value::{Type, Value};

const RECORDED: &str = include_str!("../language/functions.txt");
const PROVIDER: &str = include_str!("../language/provider-functions.txt");
const DIFFERENCES: &str = include_str!("../language/differences.txt");

/// The files that the expressions were recorded with.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new() -> Self {
        Self(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/language/files"))
    }

    fn walk(&self, directory: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("the recorded files are there") {
            let entry = entry.expect("a directory of the repository can be read");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
}

impl Host for Files {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Answer::Known(bytes.into()),
            Err(e) => Answer::Missing(e.to_string()),
        }
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        let path = self.0.join(path);
        Answer::Known(match () {
            () if path.is_dir() => "directory",
            () if path.is_file() => "file",
            () => "",
        })
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        let mut found = Vec::new();
        self.walk(&self.0.join(directory), "", &mut found);
        found.sort();
        Answer::Known(found.into())
    }

    fn variable(&self, name: &str) -> Answer<String> {
        match name {
            "HOME" => Answer::Known("/home/someone".into()),
            _ => Answer::Missing("it is not set".into()),
        }
    }

    fn plan_time(&self) -> Answer<String> {
        Answer::Known("2026-01-02T03:04:05Z".into())
    }

    fn draw(&self, _: &str) -> Option<Value> {
        None
    }

    fn directory(&self) -> String {
        "/work/here".into()
    }

    fn syntax(&self) -> Option<Syntax> {
        Some(gantry::config::SYNTAX)
    }
}

/// `unknown.NAME` is known after apply: a string, or what the name says.
struct Unknowns;

impl Scope for Unknowns {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let ty = match reference.attribute(0).map(|name| &**name) {
            Some("module") => return Ok((Value::string("."), 1)),
            Some("any") => Type::Any,
            Some("bool") => Type::Bool,
            Some("list") => Type::list(Type::String),
            Some("map") => Type::map(Type::String),
            Some("set") => Type::set(Type::String),
            Some("number") => Type::Number,
            Some("tuple") => Type::Tuple([Type::String, Type::Number].into()),
            Some("object") => Type::object([("a", Type::String), ("b", Type::Number)]),
            _ => Type::String,
        };
        Ok((Value::opaque(ty), 1))
    }
}

pub(super) fn evaluate(expression: &str) -> Result<Value, Box<Diagnostic>> {
    let first = |e: Diagnostics| Box::new(e.into_iter().next().expect("a syntax error says what it is"));
    let term = parse_expression(expression, FileId(0)).map_err(first)?;
    let host = Files::new();
    let budget = Budget::new(1_000_000);
    Evaluator { scope: &Unknowns, host: &host, budget: &budget, site: &"here" }.evaluate(&Arc::new(term))
}

/// A value as `terraform console` prints it, in one line with escapes.
pub(super) fn printed(value: &Value) -> String {
    on_one_line(&gantry::view::human::value(value))
}

/// A text as the recorded corpora have it.
pub(super) fn on_one_line(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\r', "\\r").replace('\n', "\\n")
}

/// What an error says, without what frames it: which function or parameter.
pub(super) fn sentence(detail: &str) -> String {
    let framed = ["\" failed: ", "\" parameter: "].iter().find_map(|frame| detail.split_once(frame));
    let plain = framed.map_or(detail, |(_, s)| s).trim_end_matches('.');
    // A place in YAML text is named by some of Terraform's messages only.
    let plain = plain.strip_prefix("on line ").and_then(|p| p.split_once(": ")).map_or(plain, |(_, p)| p);
    // Conversion errors come from the evaluator, which says them a little more politely.
    let plain = plain.replace(" is required", " required").replace("a set or a list", "set or list");
    let plain = plain.strip_prefix("a ").or_else(|| plain.strip_prefix("an ")).unwrap_or(&plain).to_owned();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text, other than the expression itself, and its line that an error names: `tmpl/x.tmpl:2`. What is wrong there is
/// said in the words of the house, which the mistakes pin.
fn place_in_text(answer: &str) -> Option<&str> {
    let error = answer.strip_prefix("error: ")?;
    let end = [".tmpl:", " argument>:"].iter().find_map(|mark| Some(error.find(mark)? + mark.len()))?;
    let line = error[end..].find(',')?;
    let start = error[..end].rfind([' ', '<']).map_or(0, |at| at + 1);
    Some(&error[start..end + line])
}

pub(super) fn lines(data: &str) -> impl Iterator<Item = Vec<&str>> {
    data.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split('\t').collect())
}

/// The printed result, or `error: ` and the sentence.
pub(super) fn answer(expression: &str) -> String {
    match evaluate(expression) {
        Ok(value) => printed(&value),
        Err(e) => format!("error: {}", sentence(&e.detail)),
    }
}

#[test]
fn functions_give_what_terraform_gives() {
    let differences: BTreeMap<&str, &str> = lines(DIFFERENCES).map(|l| (l[0], l[1])).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines(RECORDED).chain(lines(PROVIDER)) {
        let (expression, recorded) = (line[0], line[1]);
        if differences.contains_key(expression) {
            continue;
        }
        if expression.starts_with("type(") {
            continue; // the console's own
        }
        count += 1;
        let wanted = match recorded.strip_prefix("error: ") {
            Some(error) => format!("error: {}", sentence(error.split_once(": ").map_or(error, |(_, detail)| detail))),
            None => recorded.to_owned(),
        };
        let got = answer(expression);
        let counts = wanted.contains(" expects ") && got.contains(" expects ");
        let placed = place_in_text(&wanted).is_some_and(|place| Some(place) == place_in_text(&got));
        if got != wanted && !counts && !placed {
            wrong.push(format!("{expression}\n  got    {got}\n  wanted {wanted}"));
        }
    }
    assert!(count > 900, "the recorded expressions are there: {count}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn differences_are_as_listed_and_still_are_ones() {
    let recorded: BTreeMap<&str, &str> = lines(RECORDED).chain(lines(PROVIDER)).map(|l| (l[0], l[1])).collect();
    for line in lines(DIFFERENCES) {
        let [expression, ours, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 10, "{expression} has a reason");
        let terraform = recorded.get(expression).unwrap_or_else(|| panic!("{expression} is recorded"));
        assert_ne!(*terraform, ours, "{expression} is no difference any more");
        assert_eq!(answer(expression), ours, "{expression}");
    }
}

/// Checks printed results.
fn check(cases: &[(&str, &str)]) {
    for (expression, wanted) in cases {
        assert_eq!(answer(expression), *wanted, "{expression}");
    }
}

#[test]
fn what_is_known_of_unknown_values_is_given() {
    let later = "(known after apply)";
    check(&[
        ("length([unknown.a, unknown.b])", "2"),
        ("length(unknown.tuple)", "2"),
        ("length(unknown.object)", "2"),
        ("length(unknown.list)", later),
        ("length(unknown.a)", later),
        ("length(unknown.number)", "error: argument must be a string, a collection type, or a structural type"),
        ("keys({a = unknown.a, b = 1})", "[\\n  \"a\",\\n  \"b\",\\n]"),
        ("keys(unknown.object)", "[\\n  \"a\",\\n  \"b\",\\n]"),
        ("keys(unknown.map)", later),
        ("values({a = unknown.a, b = 1})", "[\\n  (known after apply),\\n  1,\\n]"),
        ("length(values(unknown.object))", "2"),
        ("merge({a = unknown.a}, {b = 1})", "{\\n  \"a\" = (known after apply)\\n  \"b\" = 1\\n}"),
        ("merge(unknown.object, {b = 1})", later),
        ("merge(unknown.map, {b = 1})", later),
        ("concat([unknown.a], [1])", "[\\n  (known after apply),\\n  1,\\n]"),
        ("length(concat(unknown.tuple, [1]))", "3"),
        ("concat(unknown.list, [1])", later),
        ("lookup({a = unknown.a, b = \"x\"}, \"b\")", "\"x\""),
        ("lookup({a = unknown.a}, \"a\")", later),
        ("lookup({b = 1}, unknown.a, 2)", later),
        ("lookup(unknown.object, \"c\", 5)", "5"),
        ("lookup(unknown.object, \"c\")", "error: the given object has no attribute \"c\""),
        ("element([unknown.a, \"x\"], 1)", "\"x\""),
        ("element([1, 2], unknown.number)", later),
        ("coalesce(null, \"x\", unknown.a)", "\"x\""),
        ("coalesce(unknown.a, \"x\")", later),
        ("coalescelist([], [unknown.a])", "[\\n  (known after apply),\\n]"),
        ("coalescelist(unknown.list, [1])", later),
        ("contains([unknown.a, \"x\"], \"x\")", "true"),
        ("contains([unknown.a, \"x\"], \"y\")", later),
        ("one([unknown.a])", later),
        ("one(unknown.tuple)", "error: must be a list, set, or tuple value with either zero or one elements"),
        ("flatten([[unknown.a], 1])", "[\\n  (known after apply),\\n  1,\\n]"),
        ("flatten([unknown.list, 1])", later),
        ("reverse([unknown.a, 1])", "[\\n  1,\\n  (known after apply),\\n]"),
        ("slice([unknown.a, 1], 1, 2)", "[\\n  1,\\n]"),
        ("slice(unknown.list, 0, 1)", later),
        ("zipmap([\"a\"], [unknown.a])", "{\\n  \"a\" = (known after apply)\\n}"),
        ("zipmap([\"a\", \"b\"], unknown.tuple)[\"a\"]", later),
        ("length(chunklist([unknown.a, 1, 2], 2))", "2"),
        ("formatlist(\"%s-x\", [\"a\", unknown.a])", "tolist([\\n  \"a-x\",\\n  (known after apply),\\n])"),
        ("formatlist(\"%s\", unknown.list)", later),
        ("tolist([unknown.a, \"x\"])", "tolist([\\n  (known after apply),\\n  \"x\",\\n])"),
        ("tomap({a = unknown.a})", "tomap({\\n  \"a\" = (known after apply)\\n})"),
        ("toset([unknown.a, \"x\"])", "toset([\\n  \"x\",\\n  (known after apply),\\n])"),
        ("setproduct([unknown.a], [\"x\"])", "tolist([\\n  [\\n    (known after apply),\\n    \"x\",\\n  ],\\n])"),
        ("setproduct(toset([\"x\"]), [unknown.a])", later),
        ("jsonencode({a = unknown.a})", later),
        ("format(\"%s\", unknown.a)", later),
        ("join(\",\", [\"a\", unknown.a])", later),
        ("issensitive(unknown.a)", later),
        ("issensitive(sensitive(unknown.a))", "true"),
        ("upper(unknown.any)", later),
        ("issensitive(element([sensitive(1), 2], unknown.number))", "true"),
        ("issensitive(zipmap([unknown.a], [sensitive(1)]))", "true"),
        ("issensitive(concat(unknown.list, [sensitive(1)]))", "true"),
        ("issensitive(lookup({a = sensitive(1)}, unknown.a, 2))", "true"),
        ("issensitive(merge(unknown.map, {a = sensitive(1)}))", "true"),
        ("timestamp()", later),
        ("uuid()", later),
        ("file(unknown.a)", later),
    ]);
}

#[test]
fn types_of_what_is_not_known_are_known() {
    for (expression, ty) in [
        ("regex(\"(a)(b)\", unknown.a)", "tuple([string, string])"),
        ("regex(\"(?P<x>a)\", unknown.a)", "object({x = string})"),
        ("regexall(\"a\", unknown.a)", "list(string)"),
        ("toset(unknown.tuple)", "set(string)"),
        ("tomap(unknown.object)", "map(string)"),
        ("element(unknown.tuple, 1)", "number"),
        ("values(unknown.map)", "list(string)"),
        ("merge(unknown.map, unknown.map)", "map(string)"),
        ("coalesce(unknown.a, 1)", "string"),
        ("jsonencode(unknown.any)", "string"),
        ("length(unknown.any)", "number"),
        ("split(\",\", unknown.a)", "list(string)"),
        ("setunion(unknown.set, [1])", "set(string)"),
        ("file(unknown.any)", "string"),
        ("tonumber(unknown.any)", "number"),
        ("reverse(unknown.set)", "list(string)"),
    ] {
        let value = evaluate(expression).unwrap();
        assert!(value.is_unknown(), "{expression}");
        assert_eq!(value.ty().to_string(), ty, "{expression}");
    }
}

#[test]
fn the_host_is_asked() {
    check(&[
        ("abspath(\"x/../y\")", "\"/work/here/y\""),
        ("pathexpand(\"~/x\")", "\"/home/someone/x\""),
        ("pathexpand(\"~\")", "\"/home/someone\""),
        ("pathexpand(\"~root/x\")", "error: cannot expand user-specific home dir"),
        ("plantimestamp()", "\"2026-01-02T03:04:05Z\""),
        ("env(\"HOME\")", "(sensitive value)"),
        ("nonsensitive(env(\"HOME\"))", "\"/home/someone\""),
        ("env(\"NOPE\")", "error: environment variable \"NOPE\": it is not set"),
        ("bcrypt(\"x\")", "(known after apply)"),
        (
            "rsadecrypt(file(\"keys/secret.b64\"), file(\"keys/ec.pem\"))",
            "error: invalid private key type: an RSA private key is needed",
        ),
        (
            "rsadecrypt(file(\"keys/secret.b64\"), file(\"keys/ed25519.pem\"))",
            "error: invalid private key type: an RSA private key is needed",
        ),
        ("length(base64gzip(\"hello\")) > 20", "true"),
        ("substr(base64gzip(\"hello\"), 0, 4)", "\"H4sI\""),
    ]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the real time that a call takes is what is tested")]
fn no_call_runs_away() {
    let ones = "range(1000)";
    for expression in [
        format!("length(setproduct({ones}, {ones}, {ones}))"),
        "format(\"%1000000s%1000000s%1000000s\", 1, 2, 3) == format(\"%900000000d\", 1)".to_owned(),
        format!("[for a in {ones} : [for b in {ones} : format(\"%1000s\", b)]]"),
        format!("length(replace(join(\"\", {ones}), \"\", join(\"\", [for a in {ones} : \"x{ones}x\"])))"),
        "[for a in range(1000) : indent(100000, \"\\n\\n\\n\\n\\n\\n\\n\\n\")]".to_owned(),
        format!("yamldecode(\"a: &a [x,x,x,x,x,x,x,x,x]\\n{}\")", bomb()),
        "regex(\"((a{1000}){1000}){1000}\", \"a\")".to_owned(),
        format!("jsondecode(\"{}\")", "[".repeat(100_000)),
        format!("yamldecode(\"{}\")", "[".repeat(10_000)),
        format!("yamldecode(\"{}\")", "- ".repeat(10_000)),
        format!("regex(\"{}\", \"a\")", "(".repeat(10_000)),
        format!("parseint(\"{}\", 10)", "9".repeat(100_000)),
        format!("jsondecode(\"{}\")", "9".repeat(100_000)),
        "formatlist(\"%s\", range(1000), range(999))".to_owned(),
    ] {
        let shown: String = expression.chars().take(60).collect();
        let before = std::time::Instant::now();
        assert!(evaluate(&expression).is_err(), "{shown}");
        assert!(before.elapsed().as_secs() < 10, "{shown}");
    }
}

fn bomb() -> String {
    let line = |(a, b): (char, char)| format!("{b}: &{b} [{}]\\n", vec![format!("*{a}"); 9].join(","));
    ('a'..'j').zip('b'..='j').map(line).collect()
}

#[test]
fn the_table_is_whole() {
    use gantry::eval::functions::{all, find, names};
    // Terraform 1.11's functions (`terraform metadata functions`), without those that the evaluator or the console has.
    let terraform = "abs abspath alltrue anytrue base64decode base64encode base64gzip base64sha256 base64sha512 basename \
        bcrypt ceil chomp chunklist cidrhost cidrnetmask cidrsubnet cidrsubnets coalesce coalescelist compact concat contains \
        csvdecode dirname distinct element endswith ephemeralasnull file filebase64 filebase64sha256 filebase64sha512 \
        fileexists filemd5 fileset filesha1 filesha256 filesha512 flatten floor format formatdate formatlist indent index \
        issensitive join jsondecode jsonencode keys length log lookup lower matchkeys max md5 merge min nonsensitive one \
        parseint pathexpand plantimestamp pow range regex regexall replace reverse rsadecrypt sensitive setintersection setproduct \
        setsubtract setunion sha1 sha256 sha512 signum slice sort split startswith strcontains strrev substr sum \
        templatefile templatestring textdecodebase64 textencodebase64 timeadd timecmp timestamp title tobool tolist tomap tonumber toset tostring \
        transpose trim trimprefix trimspace trimsuffix upper urlencode uuid uuidv5 values yamldecode yamlencode zipmap";
    for name in terraform.split_whitespace() {
        let function = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(function.doc.ends_with('.') && !function.group.is_empty(), "{name} is documented");
    }
    let own = |n: &&str| !n.starts_with("provider::") && !terraform.split_whitespace().any(|t| t == *n);
    let ours: Vec<&str> = names().filter(own).collect();
    assert_eq!(ours, ["env", "manifest_decode", "manifest_decode_multi", "manifest_encode"]);
    assert_eq!(all().count(), names().count());
    assert!(find("nope").is_none());
    let covered = |name: &str| lines(RECORDED).any(|l| l[0].contains(&format!("{name}(")));
    let untested: Vec<&str> = terraform.split_whitespace().filter(|n| !covered(n)).collect();
    assert_eq!(untested, ["base64gzip", "plantimestamp", "timestamp", "uuid"], "these differ from run to run");
}
