//! The type that several types have in common, and the type that a conversion gives: go-cty's rules for Terraform's language.
//!
//! [`Type::Any`] is the type of what is not known, and of a bare null. What it will turn out to be decides how a list or an
//! object beside it is converted, so the two have only *any* in common; a primitive type beside it stays.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Attribute, Type};

type Attributes = BTreeMap<Arc<str>, Attribute>;

/// The one type that values of all these types can be converted to, if there is one.
#[must_use]
pub fn unify(types: &[Type]) -> Option<Type> {
    let [first, rest @ ..] = types else { return Some(Type::Any) };
    if rest.iter().all(|ty| ty == first) {
        return Some(first.clone());
    }
    let count = |matches: fn(&Type) -> bool| types.iter().filter(|ty| matches(ty)).count();
    let any = count(|ty| matches!(ty, Type::Any));
    let lists = count(|ty| matches!(ty, Type::List(_)));
    let sets = count(|ty| matches!(ty, Type::Set(_)));
    let maps = count(|ty| matches!(ty, Type::Map(_)));
    let tuples = count(|ty| matches!(ty, Type::Tuple(_)));
    let objects = count(|ty| matches!(ty, Type::Object(_)));
    let all = |kinds: usize| kinds > 0 && kinds + any == types.len();
    if all(maps) || all(lists) || all(sets) || all(objects) || all(tuples) {
        if any > 0 {
            return Some(Type::Any);
        }
        return match first {
            Type::Object(_) => unify_objects(types),
            Type::Tuple(_) => unify_tuples(types),
            _ => unify_collections(types),
        };
    }
    if maps > 0
        && all(maps + objects)
        && let Some(ty) = in_disguise(types, |ty| matches!(ty, Type::Object(_)), to_map)
    {
        return Some(ty);
    }
    if lists > 0
        && all(lists + tuples)
        && let Some(ty) = in_disguise(types, |ty| matches!(ty, Type::Tuple(_)), to_list)
    {
        return Some(ty);
    }
    if objects > 0 && tuples > 0 {
        return None;
    }
    let fits = |wanted: &&Type| types.iter().all(|ty| conversion(ty, wanted).is_some());
    most_general_first(types).into_iter().map(|i| &types[i]).find(fits).cloned()
}

fn unify_collections(types: &[Type]) -> Option<Type> {
    let elements: Vec<Type> = types.iter().filter_map(element).cloned().collect();
    let element = unify(&elements)?;
    Some(match types.first()? {
        Type::List(_) => Type::list(element),
        Type::Set(_) => Type::set(element),
        _ => Type::map(element),
    })
}

fn element(ty: &Type) -> Option<&Type> {
    match ty {
        Type::List(t) | Type::Set(t) | Type::Map(t) => Some(t),
        _ => None,
    }
}

/// Objects of the same names have an object type in common, others a map.
fn unify_objects(types: &[Type]) -> Option<Type> {
    let objects: Vec<&Attributes> = types.iter().filter_map(attributes).collect();
    let (first, rest) = objects.split_first()?;
    if rest.iter().any(|other| !other.keys().eq(first.keys())) {
        return to_map(types);
    }
    let across = |name: &Arc<str>| -> Option<(Arc<str>, Attribute)> {
        let types: Vec<Type> = objects.iter().filter_map(|o| o.get(name)).map(|a| a.ty.clone()).collect();
        Some((name.clone(), Attribute::required(unify(&types)?)))
    };
    let common = Type::Object(Arc::new(first.keys().map(across).collect::<Option<_>>()?));
    if types.iter().all(|ty| conversion(ty, &common).is_some()) { Some(common) } else { to_map(types) }
}

/// Tuples of the same length have a tuple type in common, others a list.
fn unify_tuples(types: &[Type]) -> Option<Type> {
    let tuples: Vec<&[Type]> = types.iter().filter_map(items).collect();
    let (first, rest) = tuples.split_first()?;
    if rest.iter().any(|other| other.len() != first.len()) {
        return to_list(types);
    }
    let across = |i: usize| unify(&tuples.iter().filter_map(|t| t.get(i)).cloned().collect::<Vec<_>>());
    let common = Type::Tuple((0..first.len()).map(across).collect::<Option<Vec<_>>>()?.into());
    if types.iter().all(|ty| conversion(ty, &common).is_some()) { Some(common) } else { to_list(types) }
}

fn attributes(ty: &Type) -> Option<&Attributes> {
    if let Type::Object(all) = ty { Some(all) } else { None }
}

fn items(ty: &Type) -> Option<&[Type]> {
    if let Type::Tuple(all) = ty { Some(all) } else { None }
}

fn to_map(objects: &[Type]) -> Option<Type> {
    let all: Vec<Type> = objects.iter().filter_map(attributes).flat_map(|o| o.values()).map(|a| a.ty.clone()).collect();
    let map = Type::map(unify(&all)?);
    objects.iter().all(|ty| conversion(ty, &map).is_some()).then_some(map)
}

fn to_list(tuples: &[Type]) -> Option<Type> {
    let all: Vec<Type> = tuples.iter().filter_map(items).flatten().cloned().collect();
    let list = Type::list(unify(&all)?);
    tuples.iter().all(|ty| conversion(ty, &list).is_some()).then_some(list)
}

/// Objects beside maps are mostly maps in disguise, and tuples beside lists are lists.
fn in_disguise(types: &[Type], disguised: fn(&Type) -> bool, as_one: fn(&[Type]) -> Option<Type>) -> Option<Type> {
    let some: Vec<Type> = types.iter().filter(|ty| disguised(ty)).cloned().collect();
    let plain = as_one(&some)?;
    let all: Vec<Type> = types.iter().map(|ty| if disguised(ty) { plain.clone() } else { ty.clone() }).collect();
    let found = unify(&all)?;
    (element(&found).is_some() && types.iter().all(|ty| conversion(ty, &found).is_some())).then_some(found)
}

/// The positions of the types, those before others that these could be converted to without loss; a topological order that
/// otherwise keeps the order as given.
fn most_general_first(types: &[Type]) -> Vec<usize> {
    let general = |i: usize, j: usize| generality(&types[i], &types[j]) == Ordering::Less;
    let mut waits: Vec<usize> =
        (0..types.len()).map(|j| (0..types.len()).filter(|&i| i != j && general(i, j)).count()).collect();
    let mut order: Vec<usize> = (0..types.len()).filter(|&i| waits[i] == 0).collect();
    let mut next = 0;
    while let Some(&i) = order.get(next) {
        next += 1;
        for j in (0..types.len()).filter(|&j| j != i && general(i, j)) {
            waits[j] -= 1;
            if waits[j] == 0 {
                order.push(j);
            }
        }
    }
    order
}

/// `Less` if `a` is the more general.
fn generality(a: &Type, b: &Type) -> Ordering {
    match (a, b) {
        (Type::Any, Type::Any) => Ordering::Equal,
        (_, Type::Any) => Ordering::Less,
        (Type::Any, _) => Ordering::Greater,
        (a, b) if a.is_primitive() && b.is_primitive() => (*b == Type::String).cmp(&(*a == Type::String)),
        (Type::List(a), Type::List(b)) | (Type::Set(a), Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            generality(a, b)
        }
        (Type::List(_), Type::Tuple(_) | Type::Set(_))
        | (Type::Tuple(_), Type::Set(_))
        | (Type::Map(_), Type::Object(_)) => Ordering::Less,
        (Type::Tuple(_) | Type::Set(_), Type::List(_))
        | (Type::Set(_), Type::Tuple(_))
        | (Type::Object(_), Type::Map(_)) => Ordering::Greater,
        (Type::Object(a), Type::Object(b)) if a.keys().eq(b.keys()) => {
            one_sided(a.values().zip(b.values()).map(|(a, b)| generality(&a.ty, &b.ty)))
        }
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            one_sided(a.iter().zip(b.iter()).map(|(a, b)| generality(a, b)))
        }
        _ => Ordering::Equal,
    }
}

fn one_sided(parts: impl Iterator<Item = Ordering>) -> Ordering {
    let (mut less, mut greater) = (false, false);
    for part in parts {
        less |= part == Ordering::Less;
        greater |= part == Ordering::Greater;
    }
    match (less, greater) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// The type that values of one type have after a conversion to another, or `None` where Terraform has no such conversion.
/// What the wanted type leaves open is taken from the given one. A conversion that there is may still fail on a value:
/// `"a"` is no number.
#[must_use]
pub fn conversion(given: &Type, wanted: &Type) -> Option<Type> {
    match (given, wanted) {
        (_, Type::Any) => Some(given.clone()),
        (Type::Any, _) => Some(wanted.plain()),
        (Type::Bool | Type::Number | Type::String, Type::String) | (Type::String, Type::Bool | Type::Number) => {
            Some(wanted.clone())
        }
        (Type::Bool, Type::Bool) | (Type::Number, Type::Number) => Some(wanted.clone()),
        (Type::List(g) | Type::Set(g), Type::List(w)) => Some(Type::list(conversion(g, w)?)),
        (Type::List(g) | Type::Set(g), Type::Set(w)) => Some(Type::set(conversion(g, w)?)),
        (Type::Map(g), Type::Map(w)) => Some(Type::map(conversion(g, w)?)),
        (Type::Tuple(all), Type::List(w)) => Some(Type::list(common(all.iter(), w)?)),
        (Type::Tuple(all), Type::Set(w)) => Some(Type::set(common(all.iter(), w)?)),
        (Type::Object(all), Type::Map(w)) => Some(Type::map(common_or_open(all.values().map(|a| &a.ty), w)?)),
        (Type::Tuple(g), Type::Tuple(w)) if g.len() == w.len() => {
            let items: Option<Vec<Type>> = g.iter().zip(w.iter()).map(|(g, w)| conversion(g, w)).collect();
            Some(Type::Tuple(items?.into()))
        }
        (Type::Map(g), Type::Object(w)) => object(w, |attribute| {
            conversion(g, &attribute.ty).or_else(|| attribute.optional.then(|| attribute.ty.plain()))
        }),
        (Type::Object(g), Type::Object(w)) => {
            let attribute = |(name, attribute): (&Arc<str>, &Attribute)| -> Option<(Arc<str>, Attribute)> {
                let ty = match g.get(name) {
                    Some(given) => conversion(&given.ty, &attribute.ty)?,
                    None => attribute.optional.then(|| attribute.ty.plain())?,
                };
                Some((name.clone(), Attribute::required(ty)))
            };
            Some(Type::Object(Arc::new(w.iter().map(attribute).collect::<Option<_>>()?)))
        }
        _ => None,
    }
}

fn object(wanted: &Attributes, ty: impl Fn(&Attribute) -> Option<Type>) -> Option<Type> {
    let attribute = |(name, a): (&Arc<str>, &Attribute)| Some((name.clone(), Attribute::required(ty(a)?)));
    Some(Type::Object(Arc::new(wanted.iter().map(attribute).collect::<Option<_>>()?)))
}

/// The element type of a list or set that is made of parts of these types. Terraform wants one to be known: with parts of open
/// type beside others it is open as well whether there will be one.
fn common<'t>(mut parts: impl Iterator<Item = &'t Type> + Clone, wanted: &Type) -> Option<Type> {
    let common = common_or_open(parts.clone(), wanted)?;
    let open = common == Type::Any && parts.any(|ty| *ty != Type::Any);
    (!open).then_some(common)
}

/// The element type of a map that is made of parts of these types. Beside parts of open type it may stay open.
fn common_or_open<'t>(parts: impl Iterator<Item = &'t Type>, wanted: &Type) -> Option<Type> {
    let parts: Vec<Type> = parts.map(|given| conversion(given, wanted)).collect::<Option<_>>()?;
    if parts.is_empty() || !wanted.has_any() {
        return Some(wanted.plain());
    }
    let common = unify(&parts)?;
    parts.iter().all(|ty| conversion(ty, &common).is_some()).then_some(common)
}
