//! Types and type constraints.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Value;

/// The type of a value, or a constraint on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Any type: a constraint that takes all, and the type of what is not known.
    Any,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `list(T)`
    List(Arc<Type>),
    /// `set(T)`
    Set(Arc<Type>),
    /// `map(T)`
    Map(Arc<Type>),
    /// `tuple([A, B])`
    Tuple(Arc<[Type]>),
    /// `object({ a = A })`
    Object(Arc<BTreeMap<Arc<str>, Attribute>>),
}

/// An attribute of an object type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out: `optional(T)`.
    pub optional: bool,
    /// What it is then, besides null: `optional(T, default)`.
    pub default: Option<Value>,
}

impl Attribute {
    /// A required attribute.
    #[must_use]
    pub fn required(ty: Type) -> Self {
        Self { ty, optional: false, default: None }
    }
}

impl Type {
    /// `list(element)`
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    /// `set(element)`
    #[must_use]
    pub fn set(element: Self) -> Self {
        Self::Set(Arc::new(element))
    }

    /// `map(element)`
    #[must_use]
    pub fn map(element: Self) -> Self {
        Self::Map(Arc::new(element))
    }

    /// An object of required attributes.
    #[must_use]
    pub fn object<N: Into<Arc<str>>>(attributes: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(Arc::new(attributes.into_iter().map(|(n, t)| (n.into(), Attribute::required(t))).collect()))
    }

    /// Whether it is `bool`, `number` or `string`.
    #[must_use]
    pub fn is_primitive(&self) -> bool {
        matches!(self, Self::Bool | Self::Number | Self::String)
    }

    /// Whether `Any` stands in it anywhere.
    #[must_use]
    pub fn has_any(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Bool | Self::Number | Self::String => false,
            Self::List(t) | Self::Set(t) | Self::Map(t) => t.has_any(),
            Self::Tuple(all) => all.iter().any(Self::has_any),
            Self::Object(all) => all.values().any(|a| a.ty.has_any()),
        }
    }

    /// Of how many types it is made; more than `most` are not counted. See [`Value::weight`].
    #[must_use]
    pub fn weight(&self, most: u64) -> u64 {
        let add = |sum: u64, part: &Self| if sum > most { sum } else { sum + part.weight(most - sum) };
        match self {
            Self::Any | Self::Bool | Self::Number | Self::String => 1,
            Self::List(t) | Self::Set(t) | Self::Map(t) => add(1, t),
            Self::Tuple(all) => all.iter().fold(1, add),
            Self::Object(all) => all.values().map(|a| &a.ty).fold(1, add),
        }
    }

    /// The type itself, where a constraint says which attributes may be left out: what values have that were converted to it.
    #[must_use]
    pub fn plain(&self) -> Self {
        match self {
            Self::Any | Self::Bool | Self::Number | Self::String => self.clone(),
            Self::List(t) => Self::list(t.plain()),
            Self::Set(t) => Self::set(t.plain()),
            Self::Map(t) => Self::map(t.plain()),
            Self::Tuple(all) => Self::Tuple(all.iter().map(Self::plain).collect()),
            Self::Object(all) => Self::Object(Arc::new(
                all.iter().map(|(n, a)| (n.clone(), Attribute::required(a.ty.plain()))).collect(),
            )),
        }
    }

    /// Whether an attribute anywhere in it has a default.
    #[must_use]
    pub fn has_defaults(&self) -> bool {
        match self {
            Self::Any | Self::Bool | Self::Number | Self::String => false,
            Self::List(t) | Self::Set(t) | Self::Map(t) => t.has_defaults(),
            Self::Tuple(all) => all.iter().any(Self::has_defaults),
            Self::Object(all) => all.values().any(|a| a.default.is_some() || a.ty.has_defaults()),
        }
    }

    /// Whether it is a list, set or map.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        matches!(self, Self::List(_) | Self::Set(_) | Self::Map(_))
    }

    /// A name for messages, as Terraform says it: "a number", "list of string", "object".
    #[must_use]
    pub fn friendly(&self) -> String {
        match self {
            Self::Any => "any type".into(),
            Self::Bool => "bool".into(),
            Self::Number => "number".into(),
            Self::String => "string".into(),
            Self::List(t) => format!("list of {}", t.friendly()),
            Self::Set(t) => format!("set of {}", t.friendly()),
            Self::Map(t) => format!("map of {}", t.friendly()),
            Self::Tuple(_) => "tuple".into(),
            Self::Object(_) => "object".into(),
        }
    }
}

/// The constraint as users write it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(t) => write!(f, "list({t})"),
            Self::Set(t) => write!(f, "set({t})"),
            Self::Map(t) => write!(f, "map({t})"),
            Self::Tuple(all) => {
                f.write_str("tuple([")?;
                for (i, t) in all.iter().enumerate() {
                    write!(f, "{}{t}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("])")
            }
            Self::Object(all) => {
                f.write_str("object({")?;
                for (i, (name, a)) in all.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    match (&a.optional, &a.default) {
                        (false, _) => write!(f, "{comma}{name} = {}", a.ty)?,
                        (true, None) => write!(f, "{comma}{name} = optional({})", a.ty)?,
                        (true, Some(d)) => write!(f, "{comma}{name} = optional({}, {d:?})", a.ty)?,
                    }
                }
                f.write_str("})")
            }
        }
    }
}
