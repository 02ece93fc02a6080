//! `yamldecode`: one document, its values by YAML's core tags. Anchors are shared, not copied, and how much aliases may make
//! of a document is bounded.

use std::collections::BTreeMap;

use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::argument::{spend_bytes, spend_items, string, text};
use super::build::Called;
use super::encoding::LENIENT;
use super::{CallContext, FunctionError, yaml_scalar};
use crate::value::{Kind, Type, Value, convert, normal};

/// The deepest nesting that is read: each level takes stack.
const DEPTH_MAX: usize = 128;

/// The most values in a document with every alias counted as what it stands for; without it, nine lines of aliases to
/// aliases make a billion.
const NODES_MAX: usize = 1_000_000;

/// The core tags' common beginning.
const CORE: &str = "tag:yaml.org,2002:";

/// `yamldecode`
pub(super) fn yamldecode(context: &CallContext<'_>, args: &[Value]) -> Called {
    Reader::new(context, text(&args[0])?)?.document()
}

/// All documents of a stream, each with the line on which it starts.
pub(super) fn documents(context: &CallContext<'_>, source: &str) -> Result<Vec<(usize, Value)>, FunctionError> {
    let mut reader = Reader::new(context, source)?;
    let mut all = Vec::new();
    loop {
        match reader.next()? {
            Event::StreamStart | Event::Nothing | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                let first = reader.next()?;
                let line = reader.at.start.line();
                // Anchors are those of their document.
                reader.anchors.clear();
                all.push((line, reader.value(first, 0)?));
            }
            Event::StreamEnd => return Ok(all),
            _ => return Err(reader.refuse("did not find expected <document start>")),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// The values of anchors and how many values are in each.
    anchors: BTreeMap<usize, (Value, usize)>,
    nodes: usize,
    context: &'a CallContext<'a>,
    /// Where the event read last stands.
    at: Span,
}

impl<'a> Reader<'a> {
    fn new(context: &'a CallContext<'a>, source: &'a str) -> Result<Self, FunctionError> {
        spend_bytes(context, source.len())?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let parser = Parser::new_from_str(source);
        Ok(Self { parser, anchors: BTreeMap::new(), nodes: 0, context, at: Span::default() })
    }

    fn next(&mut self) -> Result<Event<'a>, FunctionError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.at = span;
                Ok(event)
            }
            Some(Err(e)) => Err(scan_error(&e)),
            None => Ok(Event::StreamEnd),
        }
    }

    fn refuse(&self, what: impl std::fmt::Display) -> FunctionError {
        let start = self.at.start;
        FunctionError::new(format!("on line {}, column {}: {what}", start.line(), start.col() + 1))
    }

    fn document(&mut self) -> Called {
        loop {
            match self.next()? {
                Event::StreamStart | Event::Nothing => {}
                Event::DocumentStart(_) => break,
                _ => return Err(self.refuse("missing start of document")),
            }
        }
        let first = self.next()?;
        let value = self.value(first, 0)?;
        loop {
            match self.next()? {
                Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(value),
                _ => return Err(self.refuse("unexpected extra content after value")),
            }
        }
    }

    fn count(&mut self, nodes: usize) -> Result<(), FunctionError> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(self.refuse(format!("with its aliases the document has more than {NODES_MAX} values")));
        }
        spend_items(self.context, nodes)
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Called {
        if depth > DEPTH_MAX {
            return Err(self.refuse(format!("nested more than {DEPTH_MAX} levels deep")));
        }
        let before = self.nodes;
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let Some((value, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.refuse("cannot refer to an anchor from inside its own definition"));
                };
                self.count(nodes)?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar(&text, style, tag.as_deref()).map_err(|why| self.refuse(why))?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", "sequence")?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event, depth + 1)?),
                    }
                }
                (anchor, Value::tuple(items))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", "mapping")?;
                (anchor, self.mapping(depth)?)
            }
            _ => return Err(self.refuse("did not find expected node content")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), self.nodes - before));
        }
        Ok(value)
    }

    fn check_tag(&self, tag: Option<&Tag>, wanted: &str, kind: &str) -> Result<(), FunctionError> {
        match tag.map(full) {
            None => Ok(()),
            Some(tag) if tag.strip_prefix(CORE) == Some(wanted) => Ok(()),
            Some(tag) if tag.starts_with(CORE) => Err(self.refuse(format!("can't interpret {kind} as {tag}"))),
            Some(tag) => Err(self.refuse(format!("unsupported tag {tag:?}"))),
        }
    }

    fn mapping(&mut self, depth: usize) -> Called {
        let mut out = Vec::new();
        loop {
            let event = self.next()?;
            let merge = match &event {
                Event::MappingEnd => return Ok(Value::object(out.into_iter().collect())),
                Event::Scalar(text, _, _, None) => text == "<<",
                _ => false,
            };
            let key = self.value(event, depth + 1)?;
            let key = match &key.kind {
                Kind::Null(_) => return Err(self.refuse("mapping key cannot be null")),
                Kind::String(_) | Kind::Number(_) | Kind::Bool(_) => convert(&key, &Type::String)?,
                _ => return Err(self.refuse("only strings are allowed as mapping keys")),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if merge {
                let Some(from) = value.as_map() else {
                    return Err(self.refuse(format!("cannot merge {} into mapping", value.ty().friendly())));
                };
                self.count(from.len())?;
                out.extend(from.iter().map(|(k, v)| (k.clone(), v.clone())));
            } else if let Some(key) = key.as_str() {
                out.push((normal(key).into(), value));
            }
        }
    }
}

fn scan_error(e: &ScanError) -> FunctionError {
    let (at, what) = (e.marker(), e.info());
    FunctionError::new(format!("on line {}, column {}: {what}", at.line(), at.col() + 1))
}

fn full(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let plain = style == ScalarStyle::Plain;
    let Some(tag) = tag.map(full) else {
        return if plain { yaml_scalar::resolve(text) } else { Ok(string(text)) };
    };
    let Some(core) = tag.strip_prefix(CORE) else { return Err(format!("unsupported tag {tag:?}")) };
    let cannot = || format!("cannot parse {text:?} as {tag}");
    match core {
        "binary" if LENIENT.decode(text.replace(['\n', ' '], "")).is_err() => Err(cannot() + ": not valid base64"),
        "str" | "binary" => Ok(string(text)),
        "int" | "float" | "bool" | "null" | "timestamp" if !plain => Ok(string(text)),
        "null" => Ok(Value::null(Type::Any)),
        "timestamp" => yaml_scalar::resolve(text),
        "int" | "float" | "bool" => yaml_scalar::resolve(text).and_then(|v| match v.as_str() {
            Some(_) => Err(cannot()),
            None => Ok(v),
        }),
        "seq" | "map" | "set" | "omap" => Err(format!("can't interpret scalar as {tag}")),
        _ => Err(format!("unsupported tag {tag:?}")),
    }
}
