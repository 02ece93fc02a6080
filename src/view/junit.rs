//! What a look at environments found, as a JUnit report: what CI servers show as tests. A suite is an environment, a case an
//! object; drift is a failure, what could not be looked at an error.

use std::fmt::Write as _;

use super::{Style, human};
use crate::plan::drift::{Drift, Finding, Standing};

/// The report of all environments that were looked at. One that could not be is a suite with one error: its name and why.
#[must_use]
pub fn drift(all: &[Drift], failed: &[(String, String)]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"gantry drift\">\n");
    let suite = |name: &str, cases: usize, failures: usize, errors: usize| {
        format!(
            "  <testsuite name=\"{}\" tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\">\n",
            escaped(name)
        )
    };
    for one in all {
        let (failures, errors) = (one.drifted().count(), one.unreadable().count());
        out.push_str(&suite(&one.environment, one.findings.len(), failures, errors));
        one.findings.iter().for_each(|finding| case(&mut out, one, finding));
        out.push_str("  </testsuite>\n");
    }
    for (name, why) in failed {
        out.push_str(&suite(name, 1, 0, 1));
        let name = escaped(name);
        let _ = write!(out, "    <testcase classname=\"{name}\" name=\"(the environment)\">\n      <error");
        let _ = writeln!(out, " message=\"{}\"/>\n    </testcase>\n  </testsuite>", escaped(why));
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, drift: &Drift, finding: &Finding) {
    let (environment, address) = (escaped(&drift.environment), escaped(&finding.address.to_string()));
    let _ = write!(out, "    <testcase classname=\"{environment}\" name=\"{address}\"");
    if finding.is_acknowledged() {
        let why: Vec<String> =
            finding.known.iter().map(|k| format!("acknowledged until {}: {}", k.expires, k.reason)).collect();
        let _ = writeln!(out, ">\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(&why.join("; ")));
        return;
    }
    let (element, message) = match &finding.standing {
        Standing::AsRecorded => {
            out.push_str("/>\n");
            return;
        }
        Standing::Changed { differs, .. } => {
            let fields: Vec<String> = differs.iter().map(ToString::to_string).collect();
            ("failure", format!("has changed: {}", fields.join(", ")))
        }
        Standing::Gone => ("failure", "is gone".to_owned()),
        Standing::NotReady(why) => ("failure", format!("is not ready: {why}")),
        Standing::Unreadable(why) => ("error", why.clone()),
    };
    let text = human::drifted(finding, Style::Plain);
    let _ = writeln!(
        out,
        ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>",
        escaped(&message),
        escaped(&text)
    );
}

/// Text that is nothing but text in XML. What XML 1.0 cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
