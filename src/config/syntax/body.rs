//! Bodies: attributes and blocks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::parser::{Failed, NESTING_MAX, Parsed, Parser};
use crate::config::desired::{AttributeTerm, BlockBody, Body};
use crate::config::token::{Kind, Token};
use crate::diag::Span;
use crate::value::Map;

/// The body that is being read.
struct Reading {
    body: Body,
    /// The attributes until the body ends. There may be very many, in any order.
    attributes: BTreeMap<Arc<str>, AttributeTerm>,
    /// Whether it is that of a block, which a brace ends.
    inside: bool,
    /// The type of its block, or nothing.
    ty: Arc<str>,
}

impl Parser<'_> {
    /// The whole file. What could not be read is missing in it, and noted.
    pub(super) fn file(&mut self) -> Body {
        let header = Span::new(self.file, 0..0);
        let mut reading = Reading::new(header, false, "".into());
        while self.next_kind() != Kind::End {
            self.item(&mut reading);
        }
        reading.body()
    }

    /// A line break, an attribute, a block, or what is none of them and skipped after it was noted.
    fn item(&mut self, reading: &mut Reading) {
        let first = self.peek();
        if first.kind == Kind::Newline {
            self.take();
            return;
        }
        let (level, open) = (self.level, self.open.len());
        if self.try_item(first, reading).is_err() {
            self.level = level;
            self.open.truncate(open);
            self.newlines = true;
            self.provider_keys = false;
            self.recover(first.start, reading.inside);
        }
    }

    fn try_item(&mut self, first: Token, reading: &mut Reading) -> Parsed<()> {
        if first.kind != Kind::Identifier {
            return self.no_item(first);
        }
        self.take();
        match self.next_kind() {
            Kind::Assign => {
                self.attribute(first, reading)?;
                self.line_end(first, "argument")
            }
            Kind::OpenQuote | Kind::OpenBrace | Kind::Identifier => {
                let block = self.block(first)?;
                reading.body.blocks.push(block);
                self.line_end(first, "block")
            }
            _ => self.neither(first),
        }
    }

    /// `NAME = VALUE`, from the equals sign on.
    fn attribute(&mut self, name: Token, reading: &mut Reading) -> Parsed<()> {
        self.take();
        let name_span = self.span(name);
        let key = self.names.get(self.source(name));
        self.provider_keys = &*reading.ty == "module" && &*key == "providers";
        let term = self.expression()?;
        self.provider_keys = false;
        match reading.attributes.entry(key) {
            Entry::Vacant(place) => {
                place.insert(AttributeTerm { term: Arc::new(term), name_span });
            }
            Entry::Occupied(first) => {
                let before = first.get().name_span;
                self.redefined(name_span, before);
            }
        }
        Ok(())
    }

    fn line_end(&mut self, first: Token, what: &str) -> Parsed<()> {
        match self.next_kind() {
            Kind::Newline => {
                self.take();
                Ok(())
            }
            Kind::End => Ok(()),
            _ => self.no_line_end(first, what),
        }
    }

    /// A block, from its labels on.
    fn block(&mut self, ty: Token) -> Parsed<BlockBody> {
        let mut span = self.span(ty);
        let name = self.names.get(self.source(ty));
        let mut labels = Vec::new();
        let open = loop {
            let token = self.peek();
            match token.kind {
                Kind::OpenBrace => break self.take(),
                Kind::Identifier => {
                    self.take();
                    labels.push(self.names.get(self.source(token)));
                    span = span.to(self.span(token));
                }
                Kind::OpenQuote => {
                    let (label, end) = self.label()?;
                    labels.push(label);
                    span = span.to(self.span(end));
                }
                _ => return self.no_block(ty, token),
            }
        };
        if self.level >= NESTING_MAX {
            return self.too_deep(open);
        }
        self.level += 1;
        self.open.push(open);
        let mut reading = Reading::new(span, true, Arc::clone(&name));
        match self.next_kind() {
            Kind::Newline | Kind::CloseBrace | Kind::End => self.lines(ty, open, &mut reading)?,
            _ => self.one_line(open, &mut reading)?,
        }
        self.open.pop();
        self.level -= 1;
        Ok(BlockBody { ty: name, labels, body: reading.body(), dynamic: None, span })
    }

    /// A block's contents, one item to a line, and its closing brace.
    fn lines(&mut self, ty: Token, open: Token, reading: &mut Reading) -> Parsed<()> {
        loop {
            match self.next_kind() {
                Kind::CloseBrace => {
                    self.take();
                    return Ok(());
                }
                Kind::End if self.given_up => return Err(Failed),
                Kind::End => return self.unclosed_block(ty, open),
                _ => self.item(reading),
            }
        }
    }

    /// `{ NAME = VALUE }`: one argument and no line break.
    fn one_line(&mut self, open: Token, reading: &mut Reading) -> Parsed<()> {
        let name = self.peek();
        if name.kind != Kind::Identifier {
            return self.no_item(name);
        }
        self.take();
        match self.next_kind() {
            Kind::Assign => self.attribute(name, reading)?,
            Kind::OpenQuote | Kind::OpenBrace | Kind::Identifier => return self.block_on_one_line(name),
            _ => return self.neither(name),
        }
        if self.take_if(Kind::CloseBrace).is_none() {
            return self.unended_one_line(open);
        }
        Ok(())
    }

    /// A quoted label and its closing mark. Its text is plain.
    fn label(&mut self) -> Parsed<(Arc<str>, Token)> {
        let open = self.take();
        let mut text = String::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::CloseQuote => {
                    self.take();
                    return Ok((self.names.get(&text), token));
                }
                Kind::QuotedText => {
                    self.take();
                    text.push_str(&self.unquoted(token));
                }
                Kind::OpenInterpolation | Kind::OpenDirective => return self.template_in_label(token),
                _ => return self.unclosed_string(open),
            }
        }
    }
}

impl Reading {
    fn new(header: Span, inside: bool, ty: Arc<str>) -> Self {
        let body = Body { attributes: Map::new(), blocks: Vec::new(), span: header };
        Self { body, attributes: BTreeMap::new(), inside, ty }
    }

    fn body(self) -> Body {
        Body { attributes: self.attributes.into_iter().collect(), ..self.body }
    }
}
