//! The canonical text of a term: what an effect's digest is made of, so it must tell different terms apart and not depend on
//! where a term stands or how it was laid out.

use std::fmt::Write as _;

use super::{ForTerm, Part, SplatKind, Term, TermKind, Unary};
use crate::value::encode;

/// A term's text.
pub(super) fn of(term: &Term) -> String {
    let mut out = String::new();
    write(&mut out, term);
    out
}

fn write(out: &mut String, term: &Term) {
    match &term.kind {
        TermKind::Literal(value) => {
            let _ = write!(out, "{}", encode(value, &|_| "sensitive".to_owned()));
        }
        TermKind::Reference(reference) => {
            let _ = write!(out, "{reference}");
        }
        TermKind::SplatItem => out.push('@'),
        TermKind::Template(parts) => {
            out.push('`');
            write_parts(out, parts);
            out.push('`');
        }
        TermKind::Attribute(of, name) => {
            write(out, of);
            let _ = write!(out, ".{name}");
        }
        TermKind::Index(of, key) => {
            write(out, of);
            out.push('[');
            write(out, key);
            out.push(']');
        }
        TermKind::Splat { source, each, kind } => {
            write(out, source);
            out.push_str(if *kind == SplatKind::Full { "[*" } else { ".*(" });
            write(out, each);
            out.push(if *kind == SplatKind::Full { ']' } else { ')' });
        }
        TermKind::Unary(operator, of) => {
            out.push(if *operator == Unary::Not { '!' } else { '-' });
            group(out, of);
        }
        TermKind::Binary(operator, a, b) => {
            group(out, a);
            let _ = write!(out, " {} ", operator.symbol());
            group(out, b);
        }
        TermKind::Conditional(a, b, c) => {
            group(out, a);
            out.push('?');
            group(out, b);
            out.push(':');
            group(out, c);
        }
        TermKind::Call { name, arguments, expand, .. } => {
            let _ = write!(out, "{name}(");
            list(out, arguments);
            out.push_str(if *expand { "...)" } else { ")" });
        }
        TermKind::Tuple(items) => {
            out.push('[');
            list(out, items);
            out.push(']');
        }
        TermKind::Object(items) => {
            out.push('{');
            for item in items {
                write(out, &item.key);
                out.push('=');
                write(out, &item.value);
                out.push(',');
            }
            out.push('}');
        }
        TermKind::For(f) => write_for(out, f),
    }
}

fn group(out: &mut String, term: &Term) {
    out.push('(');
    write(out, term);
    out.push(')');
}

fn list(out: &mut String, terms: &[std::sync::Arc<Term>]) {
    for (i, term) in terms.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, term);
    }
}

fn write_for(out: &mut String, f: &ForTerm) {
    let _ = write!(out, "[for {},{} in ", f.key_name.as_deref().unwrap_or("_"), f.value_name);
    write(out, &f.collection);
    out.push(':');
    if let Some(key) = &f.key {
        write(out, key);
        out.push_str("=>");
    }
    write(out, &f.value);
    if f.group {
        out.push_str("...");
    }
    if let Some(condition) = &f.condition {
        out.push_str(" if ");
        write(out, condition);
    }
    out.push(']');
}

fn write_parts(out: &mut String, parts: &[Part]) {
    for part in parts {
        match part {
            Part::Literal(text) => {
                let _ = write!(out, "{text:?}");
            }
            Part::Interpolation(term) => {
                out.push_str("${");
                write(out, term);
                out.push('}');
            }
            Part::If { condition, then, otherwise } => {
                out.push_str("%{if ");
                write(out, condition);
                out.push('}');
                write_parts(out, then);
                out.push_str("%{else}");
                write_parts(out, otherwise);
                out.push_str("%{endif}");
            }
            Part::For { key_name, value_name, collection, body } => {
                let _ = write!(out, "%{{for {},{value_name} in ", key_name.as_deref().unwrap_or("_"));
                write(out, collection);
                out.push('}');
                write_parts(out, body);
                out.push_str("%{endfor}");
            }
        }
    }
}
