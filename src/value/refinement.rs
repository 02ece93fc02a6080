//! What is known of a value before the value itself is: that it will not be null, how a string begins, between which bounds
//! a number or a length lies.
//!
//! A refinement is a promise. Whatever the value turns out to be at apply keeps it, so that what was decided with its help
//! while planning (`"pre-${x}" == "other"` is false) is what apply decides as well. The rules are those of go-cty's value
//! ranges, which Terraform decides by.

use std::sync::Arc;

use super::{Kind, Number, Type, Unknown, Value};

/// No list longer than this is drawn up element by element before its elements are known.
const MOST_ELEMENTS: usize = 1024;

/// A promise about a value that is known after apply. The default promises nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refinement {
    /// It will not be null.
    pub not_null: bool,
    /// What a string begins with, if it is not null; empty where nothing is known.
    pub prefix: Arc<str>,
    /// A number is no smaller.
    pub least: Option<Number>,
    /// A number is no larger.
    pub most: Option<Number>,
    /// A collection has no fewer elements.
    pub shortest: usize,
    /// A collection has no more elements.
    pub longest: Option<usize>,
}

impl Refinement {
    /// That a value will not be null, and nothing else.
    #[must_use]
    pub fn not_null() -> Self {
        Self { not_null: true, ..Self::default() }
    }

    /// That a string is not null and begins with a text.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self { prefix: stable_prefix(prefix).into(), ..Self::not_null() }
    }

    /// That a number is not null and lies between two others, these included.
    #[must_use]
    pub fn between(least: Option<Number>, most: Option<Number>) -> Self {
        Self { least, most, ..Self::not_null() }
    }

    /// That a collection is not null and has so many elements.
    #[must_use]
    pub fn length(shortest: usize, longest: Option<usize>) -> Self {
        Self { shortest, longest, ..Self::not_null() }
    }

    /// Whether it promises nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Both promises.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let longer = |a: &Arc<str>, b: &Arc<str>| if a.len() >= b.len() { a.clone() } else { b.clone() };
        Self {
            not_null: self.not_null || other.not_null,
            prefix: longer(&self.prefix, &other.prefix),
            least: self.least.clone().max(other.least.clone()),
            most: both(&self.most, &other.most, Ord::min).or_else(|| self.most.clone().or_else(|| other.most.clone())),
            shortest: self.shortest.max(other.shortest),
            longest: both(&self.longest, &other.longest, Ord::min).or(self.longest).or(other.longest),
        }
    }

    /// What a conditional between two values promises. Of strings that is no prefix, as in Terraform.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            not_null: self.not_null && other.not_null,
            prefix: Arc::default(),
            least: both(&self.least, &other.least, Ord::min),
            most: both(&self.most, &other.most, Ord::max),
            shortest: self.shortest.min(other.shortest),
            longest: both(&self.longest, &other.longest, Ord::max),
        }
    }

    /// Whether a known value may be the one that this was promised of.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match &value.kind {
            Kind::Null(_) => !self.not_null,
            Kind::String(text) => text.starts_with(&*self.prefix),
            Kind::Number(n) => {
                self.least.as_ref().is_none_or(|least| n >= least) && self.most.as_ref().is_none_or(|most| n <= most)
            }
            Kind::List(..) | Kind::Set(..) | Kind::Map(..) => {
                let (shortest, longest) = value.length_bounds();
                longest.is_none_or(|n| n >= self.shortest) && self.longest.is_none_or(|n| shortest <= n)
            }
            _ => true,
        }
    }
}

fn both<T: Clone>(a: &Option<T>, b: &Option<T>, pick: fn(T, T) -> T) -> Option<T> {
    Some(pick(a.clone()?, b.clone()?))
}

/// What nothing that follows combines with, as go-cty has it: characters that people delimit with.
const DELIMITERS: &str = "-_:;/\\,.(){}[]|?!~ \t@#$%^&*+\"'";

/// The part of a text that stays as it is whatever follows: without its last character, which may combine with what comes,
/// unless that is a delimiter. Of characters beyond ASCII all that stand in a row at the end are left out, since they may be
/// one cluster.
fn stable_prefix(text: &str) -> &str {
    const LONGEST: usize = 128;
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = &text[..end];
    while let Some(last) = kept.chars().next_back() {
        if DELIMITERS.contains(last) && kept.len() == end {
            break;
        }
        kept = &kept[..kept.len() - last.len_utf8()];
        if last.is_ascii() {
            break;
        }
    }
    kept
}

impl Value {
    /// What is known of it, whether it is known itself or not.
    #[must_use]
    pub fn range(&self) -> Refinement {
        match &self.kind {
            Kind::Unknown(Unknown { refinement: Some(refinement), .. }) => (**refinement).clone(),
            Kind::Unknown(_) | Kind::Null(_) => Refinement::default(),
            Kind::String(text) => Refinement { prefix: text.clone(), ..Refinement::not_null() },
            Kind::Number(n) => Refinement::between(Some(n.clone()), Some(n.clone())),
            Kind::List(..) | Kind::Set(..) | Kind::Map(..) => {
                let (shortest, longest) = self.length_bounds();
                Refinement::length(shortest, longest)
            }
            Kind::Bool(_) | Kind::Tuple(_) | Kind::Object(_) => Refinement::not_null(),
        }
    }

    /// Whether it is certain that it is not null.
    #[must_use]
    pub fn is_never_null(&self) -> bool {
        match &self.kind {
            Kind::Unknown(unknown) => unknown.refinement.as_ref().is_some_and(|r| r.not_null),
            Kind::Null(_) => false,
            _ => true,
        }
    }

    /// The least and the greatest number of elements that a collection may turn out to have. A set with unknown elements
    /// may have fewer than it shows, for two of them may turn out equal.
    #[must_use]
    pub fn length_bounds(&self) -> (usize, Option<usize>) {
        match &self.kind {
            Kind::Set(_, items) => {
                let known = items.iter().filter(|item| item.is_wholly_known()).count();
                (known.max(items.len().min(1)), Some(items.len()))
            }
            Kind::List(_, items) | Kind::Tuple(items) => (items.len(), Some(items.len())),
            Kind::Map(_, m) | Kind::Object(m) => (m.len(), Some(m.len())),
            Kind::Unknown(Unknown { ty: Type::Tuple(all), .. }) => (all.len(), Some(all.len())),
            Kind::Unknown(Unknown { ty: Type::Object(all), .. }) => (all.len(), Some(all.len())),
            Kind::Unknown(Unknown { refinement: Some(r), .. }) => (r.shortest, r.longest),
            _ => (0, None),
        }
    }

    /// An unknown value with a promise more; others as they are. Where the promises leave one value only, it is that; where
    /// they tell a list's length, it is a list of unknown elements.
    #[must_use]
    pub fn refined(self, more: &Refinement) -> Self {
        let Kind::Unknown(unknown) = &self.kind else { return self };
        let refinement = match &unknown.refinement {
            Some(have) => have.and(more),
            None => more.clone(),
        };
        // Nothing can be promised of a value whose kind is open: what holds of a string does not hold of a number.
        if unknown.ty == Type::Any || refinement.is_empty() {
            return self;
        }
        // A value that has its own way to be computed keeps it; a list's elements would not know theirs.
        if unknown.residual.is_none()
            && let Some(kind) = settled(&unknown.ty, &refinement)
        {
            return Self { kind, marks: self.marks };
        }
        let unknown = Unknown { refinement: Some(Arc::new(refinement)), ..unknown.clone() };
        Self { kind: Kind::Unknown(unknown), marks: self.marks }
    }
}

/// What a refinement settles, if it leaves one value or the length of a list.
fn settled(ty: &Type, refinement: &Refinement) -> Option<Kind> {
    if !refinement.not_null {
        return None;
    }
    match ty {
        Type::Number => {
            let least = refinement.least.as_ref()?;
            (refinement.most.as_ref() == Some(least)).then(|| Kind::Number(least.clone()))
        }
        Type::List(t) if refinement.longest == Some(refinement.shortest) && refinement.shortest <= MOST_ELEMENTS => {
            let element = Value::opaque((**t).clone());
            Some(Kind::List((**t).clone(), std::iter::repeat_n(element, refinement.shortest).collect()))
        }
        Type::Set(t) if refinement.longest == Some(0) => Some(Kind::Set((**t).clone(), Arc::new([]))),
        Type::Map(t) if refinement.longest == Some(0) => Some(Kind::Map((**t).clone(), Arc::default())),
        _ => None,
    }
}
