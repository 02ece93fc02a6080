//! The value itself.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Attribute, Deferred, Map, Marks, Number, Refinement, Residual, Results, Sealed, Type, Unfinished};
use crate::addr::Address;

/// A value of the language.
#[derive(Clone)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// The marks on the value as a whole; parts may have marks of their own.
    pub marks: Marks,
}

/// What a value is.
#[derive(Clone)]
pub enum Kind {
    /// Null, of some type.
    Null(Type),
    /// true, false
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// A list with its element type.
    List(Type, Arc<[Value]>),
    /// A set with its element type, sorted, without duplicates.
    Set(Type, Arc<[Value]>),
    /// A map with its element type.
    Map(Type, Arc<Map>),
    /// A tuple.
    Tuple(Arc<[Value]>),
    /// An object.
    Object(Arc<Map>),
    /// Known after apply.
    Unknown(Unknown),
}

/// A value known after apply.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Its type as far as known.
    pub ty: Type,
    /// How it will be computed; `None` where nothing can compute it (a sealed secret, an answer still awaited).
    pub residual: Option<Residual>,
    /// What is known of it already; `None` for nothing.
    pub refinement: Option<Arc<Refinement>>,
}

impl From<Kind> for Value {
    fn from(kind: Kind) -> Self {
        Self { kind, marks: Marks::NONE }
    }
}

impl Value {
    /// true, false
    #[must_use]
    pub fn bool(b: bool) -> Self {
        Kind::Bool(b).into()
    }

    /// A number.
    #[must_use]
    pub fn number(n: impl Into<Number>) -> Self {
        Kind::Number(n.into()).into()
    }

    /// A string.
    #[must_use]
    pub fn string(s: impl Into<Arc<str>>) -> Self {
        Kind::String(s.into()).into()
    }

    /// Null of a type.
    #[must_use]
    pub fn null(ty: Type) -> Self {
        Kind::Null(ty).into()
    }

    /// A tuple.
    #[must_use]
    pub fn tuple(items: impl Into<Arc<[Self]>>) -> Self {
        Kind::Tuple(items.into()).into()
    }

    /// A list of strings.
    #[must_use]
    pub fn strings<S: Into<Arc<str>>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::list(Type::String, items.into_iter().map(Self::string).collect::<Vec<_>>())
    }

    /// A list whose items all have type `element`.
    #[must_use]
    pub fn list(element: Type, items: impl Into<Arc<[Self]>>) -> Self {
        Kind::List(element, items.into()).into()
    }

    /// A set of items that all have type `element`. Marks of items move to the set, as in Terraform. Items that are known
    /// after apply stand side by side, for they may turn out different; when they are known, equal ones become one.
    #[must_use]
    pub fn set(element: Type, items: impl IntoIterator<Item = Self>) -> Self {
        let mut marks = Marks::NONE;
        let unmark = |item: Self| {
            let (plain, m) = item.unmark_deep();
            marks = marks.union(m);
            plain
        };
        let mut items: Vec<Self> = items.into_iter().map(unmark).collect();
        items.sort_by(super::order::in_set);
        items.dedup_by(|a, b| a == b && a.is_wholly_known());
        Self::from(Kind::Set(element, items.into())).mark(marks)
    }

    /// A map whose elements all have type `element`.
    #[must_use]
    pub fn map(element: Type, items: Map) -> Self {
        Kind::Map(element, Arc::new(items)).into()
    }

    /// An object.
    #[must_use]
    pub fn object(attributes: Map) -> Self {
        Kind::Object(Arc::new(attributes)).into()
    }

    /// An object of the pairs.
    #[must_use]
    pub fn object_of<N: Into<Arc<str>>>(attributes: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::object(attributes.into_iter().map(|(n, v)| (n.into(), v)).collect())
    }

    /// Known after apply, with the term that will compute it.
    #[must_use]
    pub fn unknown(ty: Type, residual: Residual) -> Self {
        Kind::Unknown(Unknown { ty, residual: Some(residual), refinement: None }).into()
    }

    /// Not known, and nothing here can compute it.
    #[must_use]
    pub fn opaque(ty: Type) -> Self {
        Kind::Unknown(Unknown { ty, residual: None, refinement: None }).into()
    }

    /// A secret of which only the keyed digest is at hand.
    #[must_use]
    pub fn sealed(ty: Type, digest: impl Into<Arc<str>>) -> Self {
        Self::unknown(ty, Residual::from(Sealed { digest: digest.into(), text: None })).sensitive()
    }

    /// The keyed digest, if the secret itself is not at hand.
    #[must_use]
    pub fn sealed_digest(&self) -> Option<&Arc<str>> {
        self.sealed_form().map(|sealed| &sealed.digest)
    }

    /// What is kept of a secret that is not at hand.
    #[must_use]
    pub fn sealed_form(&self) -> Option<&Sealed> {
        match &self.kind {
            Kind::Unknown(Unknown { residual: Some(Residual::Sealed(sealed)), .. }) => Some(sealed),
            _ => None,
        }
    }

    /// Whether a part of it is a secret that is not at hand.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.sealed_form().is_some() || self.children().any(Self::has_sealed)
    }

    /// With these marks as well.
    #[must_use]
    pub fn mark(mut self, marks: Marks) -> Self {
        self.marks = self.marks.union(marks);
        self
    }

    /// Marked sensitive.
    #[must_use]
    pub fn sensitive(self) -> Self {
        self.mark(Marks::SENSITIVE)
    }

    /// Its type.
    #[must_use]
    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Null(ty) | Kind::Unknown(Unknown { ty, .. }) => ty.clone(),
            Kind::Bool(_) => Type::Bool,
            Kind::Number(_) => Type::Number,
            Kind::String(_) => Type::String,
            Kind::List(t, _) => Type::list(t.clone()),
            Kind::Set(t, _) => Type::set(t.clone()),
            Kind::Map(t, _) => Type::map(t.clone()),
            Kind::Tuple(items) => Type::Tuple(items.iter().map(Self::ty).collect()),
            Kind::Object(attributes) => Type::Object(Arc::new(
                attributes.iter().map(|(n, v)| (n.clone(), Attribute::required(v.ty()))).collect(),
            )),
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null(_))
    }

    /// Whether the value as a whole is known after apply.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown(_))
    }

    /// The parts of a collection or object, in order; empty for others.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (items, elements): (&[Self], Option<&Map>) = match &self.kind {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => (items, None),
            Kind::Map(_, m) | Kind::Object(m) => (&[], Some(m)),
            _ => (&[], None),
        };
        items.iter().chain(elements.into_iter().flat_map(Map::values))
    }

    /// How many units it takes to go through it, text counting by 64 bytes and open types along; more than `most` are not
    /// counted. What is shared counts each time: a definition that holds another one twice costs no memory, but whoever looks
    /// at all of it comes by twice.
    #[must_use]
    pub fn weight(&self, most: u64) -> u64 {
        let own = match &self.kind {
            Kind::String(text) => 1 + text.len() as u64 / 64,
            Kind::Unknown(unknown) => 1 + unknown.ty.weight(most),
            Kind::Null(ty) | Kind::List(ty, _) | Kind::Set(ty, _) | Kind::Map(ty, _) => 1 + ty.weight(most),
            _ => 1,
        };
        self.children().fold(own, |sum, child| if sum > most { sum } else { sum + child.weight(most - sum) })
    }

    /// Whether nothing in it is known after apply.
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        !self.is_unknown() && self.children().all(Self::is_wholly_known)
    }

    /// Whether an unknown part of it has no way to be computed.
    #[must_use]
    pub fn lacks_residual(&self) -> bool {
        match &self.kind {
            Kind::Unknown(unknown) => unknown.residual.is_none(),
            _ => self.children().any(Self::lacks_residual),
        }
    }

    /// The marks on it and on anything in it.
    #[must_use]
    pub fn marks_deep(&self) -> Marks {
        self.children().fold(self.marks, |marks, child| marks.union(child.marks_deep()))
    }

    /// Without any marks, here or deeper, and the marks that were there.
    #[must_use]
    pub fn unmark_deep(&self) -> (Self, Marks) {
        let marks = self.marks_deep();
        if marks.is_empty() {
            return (self.clone(), marks);
        }
        (self.map_parts(&mut |v| Self { kind: v.kind, marks: Marks::NONE }), marks)
    }

    /// The same shape with every part, innermost first, replaced by what `change` gives.
    #[must_use]
    pub fn map_parts(&self, change: &mut dyn FnMut(Self) -> Self) -> Self {
        let kind = match &self.kind {
            Kind::List(t, items) => Kind::List(t.clone(), items.iter().map(|v| v.map_parts(change)).collect()),
            Kind::Set(t, items) => Kind::Set(t.clone(), items.iter().map(|v| v.map_parts(change)).collect()),
            Kind::Tuple(items) => Kind::Tuple(items.iter().map(|v| v.map_parts(change)).collect()),
            Kind::Map(t, m) => Kind::Map(t.clone(), Arc::new(map_values(m, change))),
            Kind::Object(m) => Kind::Object(Arc::new(map_values(m, change))),
            other => other.clone(),
        };
        change(Self { kind, marks: self.marks })
    }

    /// The value with everything that was unknown computed from results.
    ///
    /// # Errors
    /// When a part cannot be computed.
    pub fn finish(&self, results: &dyn Results) -> Result<Self, Unfinished> {
        if self.is_wholly_known() {
            return Ok(self.clone());
        }
        let list = |items: &[Self]| items.iter().map(|v| v.finish(results)).collect::<Result<Arc<[Self]>, _>>();
        let map = |m: &Map| {
            let all = m.iter().map(|(k, v)| Ok((k.clone(), v.finish(results)?)));
            all.collect::<Result<Map, Unfinished>>().map(Arc::new)
        };
        let kind = match &self.kind {
            Kind::Unknown(unknown) => return Ok(unknown.finish(results)?.mark(self.marks)),
            // A type that was open shows now.
            Kind::List(t, items) if t.has_any() => closed(Kind::Tuple(list(items)?), &Type::list(t.clone()))?,
            Kind::Map(t, m) if t.has_any() => closed(Kind::Object(map(m)?), &Type::map(t.clone()))?,
            Kind::List(t, items) => Kind::List(t.clone(), list(items)?),
            Kind::Tuple(items) => Kind::Tuple(list(items)?),
            Kind::Map(t, m) => Kind::Map(t.clone(), map(m)?),
            Kind::Object(m) => Kind::Object(map(m)?),
            Kind::Set(t, items) => return Ok(finish_set(t, items, results)?.mark(self.marks)),
            other => other.clone(),
        };
        Ok(Self { kind, marks: self.marks })
    }

    /// The set that an unknown part is an element of, if it is one.
    fn set_around(&self) -> Option<&Arc<dyn Deferred>> {
        match &self.kind {
            Kind::Unknown(Unknown { residual: Some(Residual::Element(set, _)), .. }) => Some(set),
            _ => self.children().find_map(Self::set_around),
        }
    }

    /// The nodes whose results its unknown parts need.
    pub fn needs(&self, nodes: &mut BTreeSet<Address>) {
        if let Kind::Unknown(Unknown { residual: Some(residual), .. }) = &self.kind {
            residual.needs(nodes);
        }
        for child in self.children() {
            child.needs(nodes);
        }
    }

    /// Adds the secrets that it, or the computing of what is unknown in it, needs and that are not at hand.
    pub fn sealed_parts(&self, found: &mut Vec<Sealed>) {
        if let Kind::Unknown(Unknown { residual: Some(residual), .. }) = &self.kind {
            residual.sealed(found);
        }
        for child in self.children() {
            child.sealed_parts(found);
        }
    }

    /// A boolean's value.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Kind::Bool(b) = self.kind { Some(b) } else { None }
    }

    /// A string's text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::String(s) = &self.kind { Some(s) } else { None }
    }

    /// A number's value.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Kind::Number(n) = &self.kind { Some(n) } else { None }
    }

    /// The items of a list, set or tuple.
    #[must_use]
    pub fn as_items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The elements of a map or attributes of an object.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(_, m) | Kind::Object(m) => Some(m),
            _ => None,
        }
    }

    /// An attribute of an object or element of a map; `None` if it has none of that name or is another kind of value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_map()?.get(name)
    }

    /// An attribute's text, if there is one and it is a known string.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn rank(&self) -> u8 {
        match &self.kind {
            Kind::Null(_) => 0,
            Kind::Bool(_) => 1,
            Kind::Number(_) => 2,
            Kind::String(_) => 3,
            Kind::List(..) => 4,
            Kind::Set(..) => 5,
            Kind::Map(..) => 6,
            Kind::Tuple(_) => 7,
            Kind::Object(_) => 8,
            Kind::Unknown(_) => 9,
        }
    }
}

impl Unknown {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let Some(residual) = &self.residual else {
            let detail = "A part of this value is recorded as a digest only; its source has to supply it again.";
            return Err(Unfinished { summary: "Value not available".into(), detail: detail.into() });
        };
        let value = residual.finish(results)?;
        super::convert(&value, &self.ty).map_err(|e| super::residual::unsuitable(&e))
    }
}

/// A collection that is now known, of an element type that was open.
fn closed(parts: Kind, ty: &Type) -> Result<Kind, Unfinished> {
    let closed = super::convert(&Value::from(parts), ty).map_err(|e| super::residual::unsuitable(&e))?;
    Ok(closed.kind)
}

/// A set whose elements were not all known. Those that the set's own term gives are computed together, since only then it
/// shows how many there are.
fn finish_set(element: &Type, items: &[Value], results: &dyn Results) -> Result<Value, Unfinished> {
    let mut finished = Vec::with_capacity(items.len());
    let mut done: Vec<&Arc<dyn Deferred>> = Vec::new();
    let mut marks = Marks::NONE;
    for item in items {
        let Some(set) = item.set_around() else {
            finished.push(item.finish(results)?);
            continue;
        };
        if done.iter().any(|other| Arc::ptr_eq(other, set)) {
            continue;
        }
        let whole = set.finish(results)?;
        marks = marks.union(whole.marks);
        finished.extend_from_slice(whole.as_items().unwrap_or_default());
        done.push(set);
    }
    let finished: Result<Vec<Value>, _> = finished.iter().map(|v| super::convert(v, element)).collect();
    Ok(Value::set(element.clone(), finished.map_err(|e| super::residual::unsuitable(&e))?).mark(marks))
}

fn map_values(map: &Map, change: &mut dyn FnMut(Value) -> Value) -> Map {
    map.iter().map(|(k, v)| (k.clone(), v.map_parts(change))).collect()
}

impl Ord for Value {
    /// A total order for sets: by kind, then content; marks count last.
    fn cmp(&self, other: &Self) -> Ordering {
        let content = match (&self.kind, &other.kind) {
            (Kind::Null(a), Kind::Null(b)) => a.cmp(b),
            (Kind::Bool(a), Kind::Bool(b)) => a.cmp(b),
            (Kind::Number(a), Kind::Number(b)) => a.cmp(b),
            (Kind::String(a), Kind::String(b)) => a.cmp(b),
            (Kind::List(s, a), Kind::List(t, b)) | (Kind::Set(s, a), Kind::Set(t, b)) => {
                a.cmp(b).then_with(|| s.cmp(t))
            }
            (Kind::Tuple(a), Kind::Tuple(b)) => a.cmp(b),
            (Kind::Map(s, a), Kind::Map(t, b)) => a.cmp(b).then_with(|| s.cmp(t)),
            (Kind::Object(a), Kind::Object(b)) => a.cmp(b),
            (Kind::Unknown(a), Kind::Unknown(b)) => {
                let text = |u: &Unknown| u.residual.as_ref().map(Residual::text);
                text(a).cmp(&text(b)).then_with(|| a.ty.cmp(&b.ty))
            }
            _ => self.rank().cmp(&other.rank()),
        };
        content.then_with(|| self.marks.cmp(&other.marks))
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Never shows what is sensitive.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::show(self))
    }
}
