//! Values as the text of expressions, for files that are written for people.

use serde_json::Value as Json;

/// What is written on the right of an equals sign.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A value.
    Value(Json),
    /// An expression as it is.
    Raw(String),
    /// An object, some parts of which are expressions.
    Object(Vec<(String, Written)>),
}

/// The text of an expression that gives this value. It is laid out by `format` afterwards.
#[must_use]
pub fn written(expression: &Written) -> String {
    let mut out = String::new();
    write(expression, &mut out);
    out
}

fn write(expression: &Written, out: &mut String) {
    match expression {
        Written::Raw(text) => out.push_str(text),
        Written::Object(parts) => {
            object(out, parts.iter().map(|(name, part)| (name.as_str(), part)), write);
        }
        Written::Value(json) => value(json, out),
    }
}

fn value(json: &Json, out: &mut String) {
    match json {
        Json::Object(all) => object(out, all.iter().map(|(name, part)| (name.as_str(), part)), value),
        Json::Array(all) if all.is_empty() => out.push_str("[]"),
        Json::Array(all) => {
            // Plain values fit on a line.
            let plain = all.iter().all(|one| !one.is_object() && !one.is_array() && !is_long(one));
            out.push_str(if plain { "[" } else { "[\n" });
            for (at, one) in all.iter().enumerate() {
                if plain && at > 0 {
                    out.push_str(", ");
                }
                value(one, out);
                if !plain {
                    // The end of a text of several lines has its line to itself.
                    out.push_str(if out.ends_with("\nEOT") { "\n,\n" } else { ",\n" });
                }
            }
            out.push(']');
        }
        Json::String(text) => string(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn object<'a, P: 'a>(
    out: &mut String,
    parts: impl ExactSizeIterator<Item = (&'a str, &'a P)>,
    write: impl Fn(&P, &mut String),
) {
    if parts.len() == 0 {
        out.push_str("{}");
        return;
    }
    out.push_str("{\n");
    for (name, part) in parts {
        match is_plain(name) {
            true => out.push_str(name),
            false => quoted(name, out),
        }
        out.push_str(" = ");
        write(part, out);
        out.push('\n');
    }
    out.push('}');
}

/// Whether a key needs no quotes: a word that means nothing else.
fn is_plain(name: &str) -> bool {
    !["for", "null", "true", "false"].contains(&name) && crate::addr::is_identifier(name)
}

fn is_long(json: &Json) -> bool {
    json.as_str().is_some_and(|text| text.contains('\n') || text.len() > 80)
}

/// A text of several lines as one, where it can be written so and read back as it was; else in quotes.
fn string(text: &str, out: &mut String) {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    let fits = lines.contains('\n')
        && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
        && !lines.lines().any(|line| line.trim() == "EOT");
    if !fits {
        quoted(text, out);
        return;
    }
    let body = lines.replace("${", "$${").replace("%{", "%%{");
    match text.ends_with('\n') {
        true => out.push_str(&format!("<<EOT\n{body}\nEOT\n")),
        false => out.push_str(&format!("trimsuffix(<<EOT\n{body}\nEOT\n, \"\\n\")")),
    }
    // An object's next part, or a list's comma, follows on the line of the end.
    if out.ends_with('\n') {
        out.pop();
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diag::FileId;

    /// What is written is read back as it was.
    #[test]
    fn every_value_is_read_back_as_it_was() {
        let values = [
            json!({ "a": 1, "b-c": [true, null, 1.5], "for": "x", "d.e/f": {}, "g": [] }),
            json!(["${x} %{if} $${y} $", "a\"b\\c\n", "tab\tand\u{1}bell", "\r\n"]),
            json!({ "file": "server {\n  listen 80;\n  set $x ${y};\n}\n", "last": 1 }),
            json!({ "file": "two\nlines", "list": ["one\ntwo\n", "three\nfour"], "end": "\n\n" }),
            json!({ "eot": "a\nEOT\nb\n", "deep": [{ "x": [{ "y": "z" }] }] }),
        ];
        for wanted in values {
            let text = format!("x = {}\n", written(&Written::Value(wanted.clone())));
            let text = super::super::format(&text, FileId(0)).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
            let body: hcl::Body = hcl::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let expression = body.attributes().next().expect("there is one").expr().clone();
            let mut context = hcl::eval::Context::new();
            let definition = hcl::eval::FuncDef::builder()
                .params([hcl::eval::ParamType::String, hcl::eval::ParamType::String])
                .build(|args| {
                    let text = args[0].as_str().unwrap_or_default();
                    Ok(hcl::Value::from(text.strip_suffix('\n').unwrap_or(text)))
                });
            context.declare_func("trimsuffix", definition);
            let got = hcl::eval::Evaluate::evaluate(&expression, &context).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let got: Json = serde_json::to_value(got).expect("values are JSON");
            assert_eq!(got, wanted, "{text}");
        }
    }
}
