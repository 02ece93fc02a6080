//! `format` and `formatlist`: Go's layout verbs over values.
//!
//! A verb is `%`, flags (` +-#0`), a width, a precision, the argument's number in brackets, and a letter; each part but
//! the letter may be missing, and a number in brackets moves on where the next verb without one takes its argument.

use unicode_segmentation::UnicodeSegmentation;

use super::argument::{spend_bytes, spend_items, string, text};
use super::build::Called;
use super::{CallContext, FunctionError, digits, json};
use crate::value::{Kind, Number, Type, Value, convert};

/// The greatest width and precision: Go's own layout refuses more, by printing nonsense.
const WIDTH_MAX: usize = 1_000_000;

/// One verb of a format.
#[derive(Debug, Default)]
struct Verb<'f> {
    /// As written, for messages.
    raw: &'f str,
    offset: usize,
    letter: char,
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// From 1; `None` for the next.
    argument: Option<usize>,
}

/// A format's parts, in order.
enum Piece<'f> {
    Text(&'f str),
    Verb(Verb<'f>),
}

fn pieces(format: &str) -> Result<Vec<Piece<'_>>, FunctionError> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let rest = &format[at..];
        let Some(percent) = rest.find('%') else {
            out.push(Piece::Text(rest));
            break;
        };
        if percent > 0 {
            out.push(Piece::Text(&rest[..percent]));
        }
        at += percent;
        if format[at..].starts_with("%%") {
            out.push(Piece::Text("%"));
            at += 2;
            continue;
        }
        let verb = scan(format, at)?;
        at += verb.raw.len();
        out.push(Piece::Verb(verb));
    }
    Ok(out)
}

fn scan(format: &str, offset: usize) -> Result<Verb<'_>, FunctionError> {
    let bytes = format.as_bytes();
    let mut at = offset + 1;
    let mut verb = Verb { offset, ..Verb::default() };
    while let Some(flag) = bytes.get(at) {
        match flag {
            b'+' => verb.plus = true,
            b'-' => verb.minus = true,
            b'#' => verb.sharp = true,
            b' ' => verb.space = true,
            b'0' => verb.zero = true,
            _ => break,
        }
        at += 1;
    }
    verb.width = digits_at(bytes, &mut at)?;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        verb.precision = Some(digits_at(bytes, &mut at)?.unwrap_or(0));
    }
    if bytes.get(at) == Some(&b'[') {
        at += 1;
        let first = at;
        verb.argument = digits_at(bytes, &mut at)?.filter(|_| bytes.get(first) != Some(&b'0'));
        if verb.argument.is_none() {
            return Err(unexpected(format, first));
        }
        if bytes.get(at) != Some(&b']') {
            return Err(unexpected(format, at));
        }
        at += 1;
    }
    verb.letter =
        format[at..].chars().next().filter(char::is_ascii_alphabetic).ok_or_else(|| unexpected(format, at))?;
    verb.raw = &format[offset..=at];
    Ok(verb)
}

fn unexpected(format: &str, at: usize) -> FunctionError {
    FunctionError::new(match format[at..].chars().next() {
        Some(c) => format!("unrecognized format character '{c}' at offset {at}"),
        None => format!("invalid format string starting at offset {at}"),
    })
}

fn digits_at(bytes: &[u8], at: &mut usize) -> Result<Option<usize>, FunctionError> {
    let start = *at;
    let mut n = 0usize;
    while let Some(digit) = bytes.get(*at).filter(|b| b.is_ascii_digit()) {
        n = n.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        *at += 1;
    }
    if n > WIDTH_MAX {
        let message = format!("width or precision at offset {start} is greater than {WIDTH_MAX}");
        return Err(FunctionError::new(message));
    }
    Ok((*at > start).then_some(n))
}

/// Lays out arguments by a format whose verbs have been read.
fn lay_out(context: &CallContext<'_>, pieces: &[Piece<'_>], args: &[Value]) -> Result<String, FunctionError> {
    let mut out = String::new();
    let mut next = 1;
    let mut used = 0;
    for piece in pieces {
        let from = out.len();
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Verb(verb) => {
                let number = verb.argument.unwrap_or(next);
                next = number + 1;
                used = used.max(number);
                let Some(value) = args.get(number - 1) else {
                    return Err(FunctionError::new(format!(
                        "not enough arguments for \"{}\" at {}: need index {number} but have {} total",
                        verb.raw,
                        verb.offset,
                        args.len()
                    )));
                };
                spend_bytes(context, verb.width.unwrap_or(0) + verb.precision.unwrap_or(0))?;
                verb.append(&mut out, value)?;
            }
        }
        spend_bytes(context, out.len() - from)?;
    }
    if args.len() > used {
        let message = match used {
            0 => "too many arguments; no verbs in format string".to_owned(),
            _ => format!("too many arguments; only {used} used by format string"),
        };
        return Err(FunctionError::at(used + 1, message));
    }
    Ok(out)
}

impl Verb<'_> {
    fn refuse(&self, why: &str) -> FunctionError {
        FunctionError::new(format!("unsupported value for \"{}\" at {}: {why}", self.raw, self.offset))
    }

    fn append(&self, out: &mut String, value: &Value) -> Result<(), FunctionError> {
        // Only %v shows null, and that as JSON does.
        if self.letter != 'v' && value.is_null() && "bdoxXeEfFgGsqt".contains(self.letter) {
            return Err(self.refuse("null value cannot be formatted"));
        }
        let text = match self.letter {
            'v' => return self.append_value(out, value),
            't' => {
                let b = self.as_type(value, &Type::Bool)?;
                out.push_str(if b.as_bool() == Some(true) { "true" } else { "false" });
                return Ok(());
            }
            'b' | 'd' | 'o' | 'x' | 'X' => self.whole(&self.as_number(value)?)?,
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.float(&self.as_number(value)?),
            's' | 'q' => self.string(self.as_type(value, &Type::String)?.as_str().unwrap_or_default()),
            letter => {
                let message =
                    format!("unsupported format verb '{letter}' in \"{}\" at offset {}", self.raw, self.offset);
                return Err(FunctionError::new(message));
            }
        };
        out.push_str(&text);
        Ok(())
    }

    /// `%v`: each kind in its own way; collections and null as JSON, and with `#` strings, too.
    fn append_value(&self, out: &mut String, value: &Value) -> Result<(), FunctionError> {
        let bare = Self { plus: false, space: false, sharp: false, precision: None, letter: 'g', ..self.copied() };
        out.push_str(&match &value.kind {
            Kind::String(s) if !self.sharp => self.pad(s),
            Kind::Number(n) if !self.sharp => bare.float(n),
            Kind::Bool(b) => self.pad(if *b { "true" } else { "false" }),
            _ => self.pad(&json::encode(value).map_err(|why| self.refuse(&why))?),
        });
        Ok(())
    }

    fn copied(&self) -> Self {
        Self { raw: "", ..*self }
    }

    fn as_number(&self, value: &Value) -> Result<Number, FunctionError> {
        let converted = self.as_type(value, &Type::Number)?;
        converted.as_number().cloned().ok_or_else(|| self.refuse("number required"))
    }

    fn as_type(&self, value: &Value, ty: &Type) -> Result<Value, FunctionError> {
        convert(value, ty).map_err(|_| {
            let name = ty.friendly();
            // A string that does not read as one is told from a kind that never could be.
            self.refuse(&if value.as_str().is_some() {
                format!("a {name} is required")
            } else {
                format!("{name} required")
            })
        })
    }

    fn string(&self, text: &str) -> String {
        let cut: String = match self.precision {
            // A precision without digits is none.
            Some(most) if most > 0 => text.graphemes(true).take(most).collect(),
            _ => text.to_owned(),
        };
        if self.letter == 'q' { self.pad(&json::quoted(&cut)) } else { self.pad(&cut) }
    }

    /// Filled up to the width with characters, or zeros if asked for, in front or, with `-`, behind.
    fn pad(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.graphemes(true).count());
        let fill = if self.zero { "0" } else { " " }.repeat(missing);
        if self.minus { format!("{text}{fill}") } else { format!("{fill}{text}") }
    }

    fn sign(&self, n: &Number) -> &'static str {
        match () {
            () if n.is_negative() => "-",
            () if self.plus => "+",
            () if self.space => " ",
            () => "",
        }
    }

    fn whole(&self, n: &Number) -> Result<String, FunctionError> {
        if !n.is_whole() {
            return Err(self.refuse("an integer is required"));
        }
        let (base, prefix) = match self.letter {
            'b' => (2, "0b"),
            'o' => (8, "0"),
            'x' => (16, "0x"),
            'X' => (16, "0X"),
            _ => (10, ""),
        };
        let mut digits = digits::whole(n, base);
        if self.letter == 'X' {
            digits.make_ascii_uppercase();
        }
        if self.precision == Some(0) && digits == "0" {
            digits.clear();
        }
        let prefix = if self.sharp { prefix } else { "" };
        let sign = self.sign(n);
        let mut zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        let missing = self.width.unwrap_or(0).saturating_sub(sign.len() + prefix.len() + zeros + digits.len());
        let (mut left, mut right) = (0, 0);
        match () {
            () if self.minus => right = missing,
            () if self.zero && self.precision.is_none() => zeros += missing,
            () => left = missing,
        }
        let (left, zeros, right) = (" ".repeat(left), "0".repeat(zeros), " ".repeat(right));
        Ok(format!("{left}{sign}{prefix}{zeros}{digits}{right}"))
    }

    fn float(&self, n: &Number) -> String {
        let digits = digits::float(n, self.letter, self.precision);
        let sign = self.sign(n);
        let missing = self.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
        match () {
            // Zeros go before `-` here, other than for whole numbers: Go's big floats do so.
            () if self.zero => format!("{sign}{}{digits}", "0".repeat(missing)),
            () if self.minus => format!("{sign}{digits}{}", " ".repeat(missing)),
            () => format!("{}{sign}{digits}", " ".repeat(missing)),
        }
    }
}

/// `format`
pub(super) fn format(context: &CallContext<'_>, args: &[Value]) -> Called {
    Ok(string(lay_out(context, &pieces(text(&args[0])?)?, &args[1..])?))
}

/// `formatlist`: lists go element by element, all else stands in each.
pub(super) fn formatlist(context: &CallContext<'_>, args: &[Value]) -> Called {
    // One text for all lines leaves their number known, though not the lines.
    let open = |value: &Value| value.is_unknown() && !value.ty().is_primitive();
    if args[0].is_unknown() || args.iter().any(open) {
        return Ok(Value::opaque(Type::list(Type::String)));
    }
    let pieces = pieces(text(&args[0])?)?;
    let args = &args[1..];
    let mut count: Option<(usize, usize)> = None;
    for (i, arg) in args.iter().enumerate() {
        let Some(items) = arg.as_items() else { continue };
        match count {
            Some((first, length)) if length != items.len() => {
                return Err(FunctionError::at(
                    i + 1,
                    format!(
                        "argument {} has length {}, which is inconsistent with argument {} of length {length}",
                        i + 1,
                        items.len(),
                        first + 1
                    ),
                ));
            }
            Some(_) => {}
            None => count = Some((i, items.len())),
        }
    }
    let count = count.map_or(1, |(_, length)| length);
    spend_items(context, count.saturating_mul(args.len()))?;
    let line = |n: usize| {
        let row: Vec<Value> = args.iter().map(|arg| arg.as_items().map_or(arg, |items| &items[n]).clone()).collect();
        if !row.iter().all(Value::is_wholly_known) {
            return Ok(Value::opaque(Type::String));
        }
        let laid_out = lay_out(context, &pieces, &row).map_err(|e| match e.argument {
            Some(_) => e,
            None => FunctionError::new(format!("error on format iteration {n}: {}", e.message)),
        })?;
        Ok(string(laid_out))
    };
    let lines: Result<Vec<Value>, FunctionError> = (0..count).map(line).collect();
    Ok(Value::list(Type::String, lines?))
}
