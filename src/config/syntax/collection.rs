//! What stands in brackets and braces: lists, objects, and `for` over either.

use std::sync::Arc;

use super::parser::{Parsed, Parser};
use crate::config::token::{Kind, Token};
use crate::eval::{ForTerm, ObjectItem, Term, TermKind};
use crate::value::Value;

impl Parser<'_> {
    /// `[a, b]` or `[for …]`
    pub(super) fn tuple(&mut self) -> Parsed<Term> {
        let open = self.take();
        let mut highest = 0;
        let (kind, close) = self.inside(open, false, |p| {
            if p.at_word("for") {
                return p.for_term(open, &mut highest);
            }
            let mut items = Vec::new();
            loop {
                if let Some(close) = p.take_if(Kind::CloseBracket) {
                    return Ok((TermKind::Tuple(items), close));
                }
                items.push(Arc::new(p.expression()?));
                highest = highest.max(p.height);
                if p.next_kind() != Kind::CloseBracket && p.take_if(Kind::Comma).is_none() {
                    let token = p.peek();
                    let why = match token.kind {
                        Kind::Assign | Kind::FatArrow => "Elements of a list have no keys; an object stands in { }.",
                        _ => "Expected a comma or \"]\": elements are separated by commas.",
                    };
                    return p.reject(token, "Missing item separator", why);
                }
            }
        })?;
        self.put_together(highest, open)?;
        Ok(Term { kind, span: self.span_to(open, close) })
    }

    /// `{ a = b }` or `{for …}`
    pub(super) fn object(&mut self) -> Parsed<Term> {
        let open = self.take();
        let provider_keys = std::mem::take(&mut self.provider_keys);
        let mut highest = 0;
        let (kind, close) = self.inside(open, true, |p| {
            while p.take_if(Kind::Newline).is_some() {}
            if p.at_word("for") {
                p.newlines = false;
                return p.for_term(open, &mut highest);
            }
            let mut items = Vec::new();
            loop {
                while p.take_if(Kind::Newline).is_some() {}
                if let Some(close) = p.take_if(Kind::CloseBrace) {
                    return Ok((TermKind::Object(items), close));
                }
                let key = p.key(provider_keys)?;
                highest = highest.max(p.height);
                p.key_sign()?;
                let value = p.expression()?;
                highest = highest.max(p.height);
                items.push(ObjectItem { key: Arc::new(key), value: Arc::new(value) });
                if p.next_kind() != Kind::CloseBrace
                    && p.take_if(Kind::Comma).is_none()
                    && p.take_if(Kind::Newline).is_none()
                {
                    let token = p.peek();
                    let why =
                        "Expected a comma, a new line or \"}\": each item of an object is separated from the next.";
                    return p.reject(token, "Missing attribute separator", why);
                }
            }
        })?;
        self.put_together(highest, open)?;
        Ok(Term { kind, span: self.span_to(open, close) })
    }

    /// An item's key: a bare word is a name, even one that is a value elsewhere.
    fn key(&mut self, provider_keys: bool) -> Parsed<Term> {
        let first = self.peek();
        if first.kind == Kind::Identifier && matches!(self.kind_behind(1), Kind::Assign | Kind::Colon) {
            self.take();
            self.height = 1;
            let name = self.names.get(self.source(first));
            return Ok(Term::literal(Value::string(name), self.span(first)));
        }
        let key = self.expression()?;
        if let TermKind::Reference(reference) = &key.kind
            && first.kind == Kind::Identifier
            && !reference.steps.is_empty()
            && !provider_keys
        {
            self.ambiguous_key(key.span);
        }
        Ok(key)
    }

    fn key_sign(&mut self) -> Parsed<()> {
        let token = self.peek();
        match token.kind {
            Kind::Assign | Kind::Colon => {
                self.take();
                Ok(())
            }
            Kind::Newline | Kind::Comma | Kind::CloseBrace => {
                let why = "Each item of an object is KEY = VALUE.";
                self.reject(token, "Missing attribute value", why)
            }
            Kind::Identifier | Kind::Dot => {
                let why = "Expected an equals sign between a key and its value. A key with dots or spaces in it is written \
                           in quotation marks.";
                self.reject(token, "Missing key/value separator", why)
            }
            _ => {
                let why = "Expected an equals sign between a key and its value.";
                self.reject(token, "Missing key/value separator", why)
            }
        }
    }

    /// What stands behind the bracket of a `for` expression, its end included.
    fn for_term(&mut self, open: Token, highest: &mut u32) -> Parsed<(TermKind, Token)> {
        const SUMMARY: &str = "Invalid 'for' expression";
        let object = open.kind == Kind::OpenBrace;
        let word = self.take();
        let (key_name, value_name) = self.for_names(word, SUMMARY)?;
        let collection = self.part(highest)?;
        let colon = self.peek();
        if colon.kind != Kind::Colon {
            return self.reject(
                colon,
                SUMMARY,
                "Expected a colon behind the collection: for NAME in COLLECTION : VALUE.",
            );
        }
        self.take();
        let mut value = self.part(highest)?;
        let mut key = None;
        if let Some(arrow) = self.take_if(Kind::FatArrow) {
            if !object {
                self.for_key_in_tuple(arrow);
            }
            key = Some(std::mem::replace(&mut value, self.part(highest)?));
        } else if object {
            self.for_without_key(value.span);
        }
        let ellipsis = self.take_if(Kind::Ellipsis);
        if let Some(ellipsis) = ellipsis.filter(|_| !object) {
            self.for_group_in_tuple(ellipsis);
        }
        let mut condition = None;
        if self.at_word("if") {
            self.take();
            condition = Some(self.part(highest)?);
        }
        let (end, sign) = if object { (Kind::CloseBrace, "}") } else { (Kind::CloseBracket, "]") };
        let close = self.close(end, SUMMARY, &format!("Expected \"{sign}\" at the end of the \"for\" expression."))?;
        let group = ellipsis.is_some();
        let term = ForTerm { key_name, value_name, collection, key, value, condition, group };
        Ok((TermKind::For(Box::new(term)), close))
    }

    fn part(&mut self, highest: &mut u32) -> Parsed<Arc<Term>> {
        let term = self.expression()?;
        *highest = (*highest).max(self.height);
        Ok(Arc::new(term))
    }

    /// `k, v in`, also that of a template's directive.
    pub(super) fn for_names(&mut self, word: Token, summary: &str) -> Parsed<(Option<Arc<str>>, Arc<str>)> {
        let name = |p: &mut Self| {
            let token = p.peek();
            if token.kind == Kind::Identifier {
                p.take();
                return Ok(p.names.get(p.source(token)));
            }
            if matches!(token.kind, Kind::Assign | Kind::Colon) {
                return p.for_as_key(word);
            }
            p.reject(
                token,
                summary,
                "Expected the name of a variable: for NAME in COLLECTION, or for KEY, NAME in COLLECTION.",
            )
        };
        let mut value_name = name(self)?;
        let mut key_name = None;
        if self.take_if(Kind::Comma).is_some() {
            key_name = Some(std::mem::replace(&mut value_name, name(self)?));
        }
        if !self.at_word("in") {
            let token = self.peek();
            return self.reject(token, summary, "Expected \"in\" and a collection behind the names of the variables.");
        }
        self.take();
        Ok((key_name, value_name))
    }
}
