//! How a value that is known after apply will be computed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Opener, Seal, Type, Value};
use crate::addr::Address;

/// The results that finished steps have answered, by node.
pub trait Results {
    /// The object of a node, or `None` while its step has not finished.
    fn result(&self, node: &Address) -> Option<Value>;

    /// The value of a function that is drawn once at apply (`timestamp()`, `uuid()`): the same `what` in the same run
    /// always gives the same value, also after a crash.
    fn draw(&self, what: &str) -> Option<Value>;
}

/// Why a value cannot be computed, for a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Short and recognisable.
    pub summary: String,
    /// Full sentences.
    pub detail: String,
}

/// An operation whose operands are not all known. It is closed: nothing but results of named nodes is looked up.
pub trait Deferred: fmt::Debug + Send + Sync {
    /// Computes the value.
    ///
    /// # Errors
    /// When the operation fails on the operands that came.
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished>;

    /// Adds the nodes whose results it needs.
    fn needs(&self, nodes: &mut BTreeSet<Address>);

    /// Adds the secrets that it needs and that are not at hand.
    fn sealed(&self, _found: &mut Vec<Sealed>) {}

    /// A canonical text: equal for equal terms, different for different ones.
    fn text(&self) -> String;
}

/// What is kept of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The keyed digest of its encoding.
    pub digest: Arc<str>,
    /// It itself, sealed for those who may open it; `None` where only the digest was kept.
    pub text: Option<Arc<str>>,
}

impl Sealed {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.text {
            Some(text) => json!({ "sealed": *self.digest, "age": **text }),
            None => json!({ "sealed": *self.digest }),
        }
    }

    /// Back from [`Sealed::to_json`].
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(Arc::from);
        Some(Self { digest: text("sealed")?, text: text("age") })
    }

    /// The text itself, if somebody can open it, and it is the one of the digest.
    #[must_use]
    pub fn open(&self, seal: Seal<'_>, opener: &dyn Opener) -> Option<Vec<u8>> {
        opener.open(self.text.as_deref()?).filter(|text| seal(text) == *self.digest)
    }
}

/// The closed term of an unknown value. It is small, for every value has room for one.
#[derive(Clone)]
pub enum Residual {
    /// The whole object that a node's step answers.
    Result(Arc<Address>),
    /// A secret that is not at hand: somebody has to open it, or its source to supply it again.
    Sealed(Arc<Sealed>),
    /// An operation over such.
    Deferred(Arc<dyn Deferred>),
    /// A value that is to be converted once it is known.
    Converted(Arc<(Value, Type)>),
    /// Some element of the set that an operation gives, the one that stands at a position while planning. Which and how many
    /// there are shows when the whole set is known, so a set is finished as a whole.
    Element(Arc<dyn Deferred>, u32),
}

impl From<Address> for Residual {
    fn from(node: Address) -> Self {
        Self::Result(Arc::new(node))
    }
}

impl From<Sealed> for Residual {
    fn from(sealed: Sealed) -> Self {
        Self::Sealed(Arc::new(sealed))
    }
}

impl Residual {
    /// Computes the value.
    ///
    /// # Errors
    /// When a needed result is missing or an operation fails.
    pub fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        match self {
            Self::Result(node) => results.result(node).ok_or_else(|| Unfinished {
                summary: "Value not available".into(),
                detail: format!("The result of {node} is needed here, but that step has not finished."),
            }),
            Self::Sealed(sealed) => Err(Unfinished {
                summary: "Value not available".into(),
                detail: match sealed.text {
                    Some(_) => "This secret is sealed, and no identity that is at hand opens it.".into(),
                    None => "This secret is recorded as a digest only; its source has to supply it again.".into(),
                },
            }),
            Self::Deferred(deferred) => deferred.finish(results),
            Self::Converted(conversion) => {
                let (value, ty) = &**conversion;
                super::convert(&value.finish(results)?, ty).map_err(|e| unsuitable(&e))
            }
            Self::Element(set, _) => match set.finish(results)?.as_items() {
                Some([one]) => Ok(one.clone()),
                _ => Err(Unfinished {
                    summary: "Value not available".into(),
                    detail: "This value stands for an element of a set, and the set has more than that one.".into(),
                }),
            },
        }
    }

    /// Adds the nodes whose results it needs.
    pub fn needs(&self, nodes: &mut BTreeSet<Address>) {
        match self {
            Self::Result(node) => {
                nodes.insert((**node).clone());
            }
            Self::Sealed(_) => {}
            Self::Deferred(deferred) | Self::Element(deferred, _) => deferred.needs(nodes),
            Self::Converted(conversion) => conversion.0.needs(nodes),
        }
    }

    /// Adds the secrets that it needs and that are not at hand.
    pub fn sealed(&self, found: &mut Vec<Sealed>) {
        match self {
            Self::Result(_) => {}
            Self::Sealed(sealed) => found.push((**sealed).clone()),
            Self::Deferred(deferred) | Self::Element(deferred, _) => deferred.sealed(found),
            Self::Converted(conversion) => conversion.0.sealed_parts(found),
        }
    }

    /// A canonical text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Result(node) => node.to_string(),
            Self::Sealed(sealed) => format!("sealed({})", sealed.digest),
            Self::Deferred(deferred) => deferred.text(),
            Self::Converted(conversion) => {
                let (value, ty) = &**conversion;
                format!("{} as {ty}", super::encode(value, &|_| "sensitive".to_owned()))
            }
            Self::Element(set, position) => format!("element {position} of {}", set.text()),
        }
    }
}

/// What came at apply has a type that cannot become the one that was planned.
pub(super) fn unsuitable(error: &super::ConvertError) -> Unfinished {
    Unfinished {
        summary: "Unsuitable value".into(),
        detail: format!("A value that became known during the apply has another type than was planned: {error}."),
    }
}

impl fmt::Debug for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
