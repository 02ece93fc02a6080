//! One diagnostic, and the collection of a phase.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The command cannot go on.
    Error,
    /// Worth knowing; the command goes on.
    Warning,
}

/// What a reference in the expression that failed was at that moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueNote {
    /// The reference as written: `var.size`.
    pub traversal: String,
    /// What is said of its value, as the rest of the sentence: `is 3`.
    pub statement: String,
}

/// A call of the module that a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller {
    /// The called module as seen from the root: `module.app["eu"].module.db`.
    pub module: String,
    /// Where its block stands.
    pub at: Option<Span>,
}

/// How a diagnostic came about, beside its place. Most have nothing to say here, so it is kept in a box.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Circumstances {
    /// The references in the expression that failed, sorted.
    pub values: Vec<ValueNote>,
    /// The calls that lead to the module that it is in, innermost first.
    pub chain: Vec<Caller>,
    /// Further calls of that module, in which the same is wrong.
    pub also: Vec<Caller>,
    /// What else is wrong in the same expression.
    pub more: Vec<Diagnostic>,
}

/// What is wrong, where, why it matters and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Short, recognisable, free of user names.
    pub summary: String,
    /// Full sentences: what is wrong, why it matters, what to do.
    pub detail: String,
    /// The place in a source file.
    pub span: Option<Span>,
    /// The node concerned, as users type it.
    pub address: Option<Box<str>>,
    /// Next steps and suggestions, one sentence each.
    pub hints: Vec<String>,
    /// How it came about; `None` as long as nobody has asked.
    pub circumstances: Option<Box<Circumstances>>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            span: None,
            address: None,
            hints: Vec::new(),
            circumstances: None,
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(summary, detail) }
    }

    /// With the place it is about.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// With the place it is about, where there is one.
    #[must_use]
    pub fn at_opt(mut self, span: Option<Span>) -> Self {
        self.span = span.or(self.span);
        self
    }

    /// With the node it is about.
    #[must_use]
    pub fn on(mut self, address: &(impl ToString + ?Sized)) -> Self {
        self.address = Some(address.to_string().into());
        self
    }

    /// With the values of the references in the expression that failed. The innermost expression is asked first, and its answer
    /// stands.
    #[must_use]
    pub fn with_values(mut self, values: Vec<ValueNote>) -> Self {
        if !self.is_explained() {
            self.circumstances.get_or_insert_default().values = values;
        }
        self
    }

    /// Together with what is wrong beside it.
    pub fn join(&mut self, other: Diagnostic) {
        self.circumstances.get_or_insert_default().more.push(other);
    }

    /// Itself and what was joined to it, each alone.
    #[must_use]
    pub fn apart(mut self) -> Vec<Self> {
        let more = self.circumstances.as_mut().map(|c| std::mem::take(&mut c.more)).unwrap_or_default();
        let mut all = vec![self];
        all.extend(more.into_iter().flat_map(Self::apart));
        all
    }

    /// With the calls of the module that it is in, innermost first.
    #[must_use]
    pub fn called_by(mut self, chain: Vec<Caller>) -> Self {
        if !chain.is_empty() {
            self.circumstances.get_or_insert_default().chain = chain;
        }
        self
    }

    /// Whether the values around it were asked for, whatever the answer was.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.circumstances.is_some()
    }

    /// The references in the expression that failed.
    #[must_use]
    pub fn values(&self) -> &[ValueNote] {
        self.circumstances.as_ref().map_or(&[], |c| &c.values)
    }

    /// The calls of the module that it is in, innermost first.
    #[must_use]
    pub fn chain(&self) -> &[Caller] {
        self.circumstances.as_ref().map_or(&[], |c| &c.chain)
    }

    /// Further calls in which the same is wrong.
    #[must_use]
    pub fn also(&self) -> &[Caller] {
        self.circumstances.as_ref().map_or(&[], |c| &c.also)
    }

    /// With a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With a next step, where there is one.
    #[must_use]
    pub fn hint_opt(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }
}

/// The diagnostics of a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    /// Where in `all` those of a hash stand, so that ten thousand of them are not compared with each other.
    seen: BTreeMap<u64, Vec<usize>>,
}

impl Diagnostics {
    /// Adds one; one that says exactly the same is there already is dropped.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.circumstances.as_ref().is_some_and(|c| !c.more.is_empty()) {
            diagnostic.apart().into_iter().for_each(|one| self.push(one));
            return;
        }
        let mut hasher = DefaultHasher::new();
        diagnostic.hash(&mut hasher);
        let same = self.seen.entry(hasher.finish()).or_default();
        if same.iter().all(|n| self.all[*n] != diagnostic) {
            same.push(self.all.len());
            self.all.push(diagnostic);
        }
    }

    /// Adds all of another phase.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        for one in others {
            self.push(one);
        }
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|d| d.severity == Severity::Error)
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.all.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, sorted by place; those without a place come last, in the order in which they were found.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.all.iter().collect();
        all.sort_by_key(|d| (d.span.is_none(), d.span));
        all
    }

    /// For people: sorted by place, and what is wrong in the same way in several instances said once, with the names of the
    /// others.
    #[must_use]
    pub fn grouped(&self) -> Vec<Diagnostic> {
        let mut groups: Vec<Diagnostic> = Vec::new();
        let mut last: BTreeMap<(Option<Span>, &str, &str), usize> = BTreeMap::new();
        for one in self.sorted() {
            let elsewhere = match (&one.address, one.chain().first()) {
                (Some(address), _) => Some(Caller { module: address.to_string(), at: None }),
                (None, Some(caller)) if one.also().is_empty() => Some(caller.clone()),
                _ => None,
            };
            let key = (one.span, &*one.summary, &*one.detail);
            if let (Some(elsewhere), Some(first)) = (elsewhere, last.get(&key).and_then(|n| groups.get_mut(*n)))
                && first.span.is_some()
                && first.address.is_some() == one.address.is_some()
                && first.chain().is_empty() == one.chain().is_empty()
            {
                first.circumstances.get_or_insert_default().also.push(elsewhere);
                continue;
            }
            last.insert(key, groups.len());
            groups.push(one.clone());
        }
        groups
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.all.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self::from_iter([one])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(iter: T) -> Self {
        let mut all = Self::default();
        all.extend(iter);
        all
    }
}
