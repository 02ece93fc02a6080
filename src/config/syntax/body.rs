//! Bodies: attributes and blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::structure::{Block, BlockLabel};

use super::deep::deep;
use super::error::syntax_error;
use super::term::{Lower, parse_template};
use crate::config::desired::{AttributeTerm, BlockBody, Body};
use crate::diag::{Diagnostic, Diagnostics, FileId, Span};
use crate::eval::{Arguments, Syntax};

/// How texts that only evaluation comes upon are read: templates, variable files.
pub const SYNTAX: Syntax = Syntax { template: parse_template, arguments: parse_arguments };

/// Parses a text of arguments only.
fn parse_arguments(text: &str, file: FileId) -> Result<Arguments, Diagnostics> {
    let body = deep(|| parse(text, file))?;
    let refused = body.blocks.iter().map(|block| {
        let summary = format!("Unexpected \"{}\" block", block.ty);
        Diagnostic::error(summary, "Blocks are not allowed here.").at(block.span)
    });
    let errors: Diagnostics = refused.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(body.attributes.into_iter().map(|(name, attribute)| (name, attribute.term)).collect())
}

/// Parses a file into its body. `text` has no byte order mark.
///
/// # Errors
/// Every syntax error that could be found; hcl-edit stops at its first.
pub(crate) fn parse(text: &str, file: FileId) -> Result<Body, Diagnostics> {
    let tree = hcl_edit::parser::parse_body(text).map_err(|e| syntax_error(&e, text, file))?;
    let mut lower = Lower::new(text, file);
    let body = lower.body(&tree, Span::new(file, 0..0), "");
    lower.finish(body)
}

impl Lower<'_> {
    fn body(&mut self, tree: &hcl_edit::structure::Body, header: Span, ty: &str) -> Body {
        let mut attributes = BTreeMap::new();
        for attribute in tree.attributes() {
            let name_span = self.span_of(&attribute.key, header);
            let name: Arc<str> = attribute.key.as_str().into();
            self.provider_keys = ty == "module" && &*name == "providers";
            let term = self.expression(&attribute.value, name_span);
            self.provider_keys = false;
            attributes.insert(name, AttributeTerm { term: Arc::new(term), name_span });
        }
        let blocks = tree.blocks().map(|block| self.block(block, header)).collect();
        Body { attributes, blocks, span: header }
    }

    fn block(&mut self, block: &Block, around: Span) -> BlockBody {
        let mut span = self.span_of(&block.ident, around);
        let mut labels = Vec::with_capacity(block.labels.len());
        for label in &block.labels {
            let place = self.span_of(label, span);
            span = span.to(place);
            labels.push(self.label(label, place));
        }
        let body = self.body(&block.body, span, block.ident.as_str());
        BlockBody { ty: block.ident.as_str().into(), labels, body, dynamic: None, span }
    }

    fn label(&mut self, label: &BlockLabel, place: Span) -> Arc<str> {
        match label {
            BlockLabel::Ident(ident) => ident.as_str().into(),
            BlockLabel::String(_) => self.quoted_text(place).into(),
        }
    }
}
