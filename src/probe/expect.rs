//! Comparing an HTTP answer with what was expected of it. Pure.

use serde_json::Value;
use serde_json_path::JsonPath;

use super::spec::Expect;
use std::time::Duration;

/// How much of a body or a value a sentence shows, in characters.
const SHOWN: usize = 120;

/// The largest compiled regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// An HTTP answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In the order in which they came, names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body went on behind what was read.
    pub(crate) cut: bool,
    pub(crate) latency: Duration,
}

impl Answer {
    fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }
}

/// Every way in which an answer is not what was expected, each in words that continue "GET URL …".
pub(crate) fn differences(expect: &Expect, answer: &Answer) -> Vec<String> {
    let body = String::from_utf8_lossy(&answer.body);
    let mut found = Vec::new();
    found.extend(status(expect, answer, &body));
    for (name, value) in &expect.headers {
        let got = answer.header(name);
        if got.is_empty() {
            found.push(format!("has no header {name}, which should be {value:?}"));
        } else if !got.contains(&value.as_str()) {
            found.push(format!("has the header {name} {:?} instead of {value:?}", got.join(", ")));
        }
    }
    found.extend(texts(expect, &body));
    if !expect.json.is_empty() {
        found.extend(json(expect, answer));
    }
    if answer.cut && !found.is_empty() && found.iter().any(|f| f.contains("body")) {
        found.push(format!("was read only to its first {} bytes", answer.body.len()));
    }
    if let Some(limit) = expect.latency.filter(|limit| answer.latency > *limit) {
        found.push(format!("took {} instead of at most {}", time(answer.latency), time(limit)));
    }
    found
}

fn status(expect: &Expect, answer: &Answer, body: &str) -> Option<String> {
    let got = answer.status;
    let (fits, wanted) = match expect.status.len() {
        0 => ((200..300).contains(&got), "200".to_owned()),
        _ => {
            let all: Vec<String> = expect.status.iter().map(u16::to_string).collect();
            (expect.status.contains(&got), all.join(" or "))
        }
    };
    if fits {
        return None;
    }
    let to =
        answer.header("location").first().filter(|_| (300..400).contains(&got)).map(|l| format!(" to {}", shorten(l)));
    let seen = if body.trim().is_empty() { "no body".to_owned() } else { format!("body: {:?}", shorten(body.trim())) };
    Some(format!("answered {got}{} instead of {wanted} ({seen})", to.unwrap_or_default()))
}

fn texts(expect: &Expect, body: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(wanted) = expect.body_equals.as_deref().filter(|wanted| body != *wanted) {
        found.push(format!("answered with the body {:?} instead of {:?}", shorten(body), shorten(wanted)));
    }
    if let Some(wanted) = expect.body_contains.as_deref().filter(|wanted| !body.contains(wanted)) {
        found.push(format!("has no {:?} in its body {:?}", shorten(wanted), shorten(body)));
    }
    if let Some(pattern) = &expect.body_matches {
        match regex(pattern) {
            Ok(regex) if regex.is_match(body) => {}
            Ok(_) => found.push(format!("has nothing that matches /{pattern}/ in its body {:?}", shorten(body))),
            Err(error) => found.push(error),
        }
    }
    found
}

fn json(expect: &Expect, answer: &Answer) -> Vec<String> {
    let document: Value = match serde_json::from_slice(&answer.body) {
        Ok(document) => document,
        Err(error) => {
            let body = String::from_utf8_lossy(&answer.body);
            return vec![format!("answered with a body that is not JSON ({error}): {:?}", shorten(&body))];
        }
    };
    let mut found = Vec::new();
    for (query, wanted) in &expect.json {
        let path = match path(query) {
            Ok(path) => path,
            Err(error) => {
                found.push(error);
                continue;
            }
        };
        let got = path.query(&document).all();
        let fits = match got.as_slice() {
            [] => false,
            [one] if same(one, wanted) => true,
            many => match wanted {
                Value::Array(all) => all.len() == many.len() && all.iter().zip(many).all(|(a, b)| same(a, b)),
                one => many.iter().all(|got| same(got, one)),
            },
        };
        if !fits {
            let seen = match got.as_slice() {
                [] => format!("has nothing at {query} in its body"),
                [one] => format!("has {} at {query} in its body", shorten(&one.to_string())),
                many => {
                    let all: Vec<String> = many.iter().map(ToString::to_string).collect();
                    format!("has {} at {query} in its body", shorten(&all.join(", ")))
                }
            };
            found.push(format!("{seen} instead of {}", shorten(&wanted.to_string())));
        }
    }
    found
}

/// Whether two JSON values are the same, numbers by what they count: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || (x.is_f64() || y.is_f64()) && x.as_f64().zip(y.as_f64()).is_some_and(|(x, y)| x == y)
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

/// Reads a JSONPath query.
pub(crate) fn path(query: &str) -> Result<JsonPath, String> {
    JsonPath::parse(query).map_err(|error| format!("cannot be judged by the JSONPath {query:?}: {error}"))
}

/// Reads a regular expression.
pub(crate) fn regex(pattern: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(pattern).size_limit(REGEX_LIMIT).build();
    built.map_err(|error| format!("cannot be judged by the regular expression {pattern:?}: {error}"))
}

/// The beginning of a text, enough to recognise it by.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A duration as people write it.
pub(crate) fn time(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{} µs", time.as_micros()),
        millis @ 1..1000 => format!("{millis} ms"),
        millis if millis % 1000 == 0 || millis >= 60_000 => format!("{} s", millis / 1000),
        millis => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        Answer { status, headers, body: body.into(), cut: false, latency: Duration::from_millis(812) }
    }

    fn json_of(body: &str, query: &str, wanted: Value) -> Vec<String> {
        differences(&Expect { json: vec![(query.to_owned(), wanted)], ..Expect::default() }, &answer(200, body))
    }

    #[test]
    fn every_assertion_says_both_values() {
        let expect = Expect {
            status: [201, 202].into(),
            headers: vec![("Content-Type".into(), "application/json".into()), ("x-v".into(), "2".into())],
            body_equals: Some("yes".into()),
            body_contains: Some("ok".into()),
            body_matches: Some("^[0-9]+$".into()),
            json: vec![("$.a".into(), json!(1))],
            latency: Some(Duration::from_millis(500)),
        };
        assert_eq!(
            differences(&expect, &answer(503, "migrating")),
            vec![
                "answered 503 instead of 201 or 202 (body: \"migrating\")",
                "has the header Content-Type \"text/plain\" instead of \"application/json\"",
                "has no header x-v, which should be \"2\"",
                "answered with the body \"migrating\" instead of \"yes\"",
                "has no \"ok\" in its body \"migrating\"",
                "has nothing that matches /^[0-9]+$/ in its body \"migrating\"",
                "answered with a body that is not JSON (expected value at line 1 column 1): \"migrating\"",
                "took 812 ms instead of at most 500 ms",
            ]
        );
        assert_eq!(differences(&Expect::default(), &answer(204, "")), Vec::<String>::new());
        assert_eq!(differences(&Expect::default(), &answer(500, " ")), vec!["answered 500 instead of 200 (no body)"]);
    }

    #[test]
    fn a_redirect_says_where_to() {
        let mut redirect = answer(302, "");
        redirect.headers.push(("location".into(), "/login".into()));
        assert_eq!(differences(&Expect::default(), &redirect), vec!["answered 302 to /login instead of 200 (no body)"]);
    }

    #[test]
    fn json_is_compared_by_what_it_means() {
        let body = r#"{"status":"accepted","n":1.0,"items":[{"ok":true},{"ok":true}],"o":{"a":1,"b":2}}"#;
        for (query, wanted) in [
            ("$.status", json!("accepted")),
            ("$.n", json!(1)),
            ("$.items[*].ok", json!(true)),
            ("$.items[*].ok", json!([true, true])),
            ("$.items", json!([{"ok": true}, {"ok": true}])),
            ("$.o", json!({"b": 2, "a": 1.0})),
        ] {
            assert_eq!(json_of(body, query, wanted), Vec::<String>::new(), "{query}");
        }
        for (query, wanted, sentence) in [
            ("$.status", json!("paid"), "has \"accepted\" at $.status in its body instead of \"paid\""),
            ("$.none", json!(null), "has nothing at $.none in its body instead of null"),
            ("$.items[*].ok", json!([true]), "has true, true at $.items[*].ok in its body instead of [true]"),
            ("$.n", json!("1"), "has 1.0 at $.n in its body instead of \"1\""),
        ] {
            assert_eq!(json_of(body, query, wanted), vec![sentence]);
        }
        assert_eq!(json_of(body, "status", json!(1)).len(), 1);
    }

    #[test]
    fn times_are_written_as_people_do() {
        for (millis, text) in
            [(0, "0 µs"), (7, "7 ms"), (999, "999 ms"), (2000, "2 s"), (2150, "2.1 s"), (61_300, "61 s")]
        {
            assert_eq!(time(Duration::from_millis(millis)), text);
        }
    }
}
