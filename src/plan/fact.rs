//! Facts: answers from outside, each filed under its question.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::addr::Address;
use crate::provider::{ImportRequest, Observation, ObserveRequest, Preview, PreviewRequest, ReadRequest};
use crate::value::{Keep, Opener, Sealed, Value, open_sealed, reveal};

/// A question that planning has for the outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The bytes of a file. Answered into the bundle.
    File(String),
    /// What stands at a path. Answered into the bundle.
    Kind(String),
    /// All files below a directory. Answered into the bundle.
    Tree(String),
    /// An environment variable.
    Variable(String),
    /// When the plan was made.
    PlanTime,
    /// A recorded object as it is now.
    Observe(Box<ObserveRequest>),
    /// A data source.
    Read(Box<ReadRequest>),
    /// An object that no record knows, by the name that its target has for it.
    Import(Box<ImportRequest>),
    /// What a target would make of a change.
    Preview(Box<PreviewRequest>),
    /// The digest and size of a file that an artifact names.
    FileDigest {
        /// The artifact.
        address: Address,
        /// The file, relative to the environment's directory.
        path: String,
    },
    /// The digest behind an image's tag.
    Image {
        /// The artifact.
        address: Address,
        /// The reference.
        reference: String,
    },
    /// The migrations that a database says were applied.
    Journal {
        /// The `migration` node.
        address: Address,
        /// The database's URL; a secret.
        url: Value,
    },
}

/// A migration as a database's journal has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JournalEntry {
    /// Its number.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// The digest of its up text.
    pub checksum: String,
    /// Its up text.
    pub up: String,
    /// Its down text.
    pub down: Option<String>,
    /// Whether it is half done (a migration without a transaction that was stopped).
    pub partial: bool,
}

/// What a target answered when it was asked for an object that is to be imported.
#[derive(Debug, Clone, PartialEq)]
pub enum Imported {
    /// It is there.
    Present {
        /// All attributes as they are.
        attributes: Value,
        /// What the provider needs to find it again.
        identity: Json,
    },
    /// It is not there.
    Absent,
    /// It cannot be imported, or the target did not say; a sentence.
    Failed(String),
    /// Nobody was asked, because the plan is made only to see whether the configuration is valid.
    NotAsked,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A text, or none.
    Text(Option<String>),
    /// A secret that is not at hand.
    Sealed(Sealed),
    /// An object as it is.
    Observed(Observation),
    /// A data source's object, or why there is none.
    Read(Result<Value, String>),
    /// An object that is to be imported.
    Imported(Imported),
    /// What a target would make of a change.
    Previewed(Preview),
    /// A digest (`sha256:…`) and, for a file, a size; or why there is none.
    Digest(Result<(String, Option<u64>), String>),
    /// A journal, or why it cannot be read.
    Journal(Result<Vec<JournalEntry>, String>),
}

/// All facts of a plan, by the key of their question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts(pub BTreeMap<String, Fact>);

impl Question {
    /// The text that the answer is filed under. It holds no secret.
    #[must_use]
    pub fn key(&self, seal: &dyn Fn(&[u8]) -> String) -> String {
        match self {
            Self::File(path) => format!("file {path}"),
            Self::Kind(path) => format!("kind {path}"),
            Self::Tree(path) => format!("tree {path}"),
            Self::Variable(name) => format!("env {name}"),
            Self::PlanTime => "plan time".into(),
            Self::Observe(request) => format!("observe {} {}", request.address, request.prior.identity),
            Self::Read(request) => {
                format!("read {} {}", request.address, crate::value::encode(&request.arguments, seal))
            }
            Self::Import(request) => {
                format!("import {} {:?} {}", request.address, request.id, crate::value::encode(&request.wanted, seal))
            }
            Self::Preview(request) => {
                let prior = request.prior.as_ref().map_or(&Json::Null, |prior| &prior.identity);
                format!("preview {} {prior} {}", request.address, crate::value::encode(&request.planned, seal))
            }
            Self::FileDigest { address, path } => format!("digest {address} {path}"),
            Self::Image { address, reference } => format!("image {address} {reference}"),
            Self::Journal { address, url } => {
                format!("journal {address} {}", crate::value::encode(&url.clone().sensitive(), seal))
            }
        }
    }

    /// Whether the answer goes into the bundle instead of the facts.
    #[must_use]
    pub fn is_for_bundle(&self) -> bool {
        matches!(self, Self::File(_) | Self::Kind(_) | Self::Tree(_))
    }
}

impl Facts {
    /// The facts as JSON, with secrets as keyed digests, and sealed where there is somebody to seal.
    #[must_use]
    pub fn encode(&self, keep: Keep<'_>) -> Json {
        super::fact_format::encode(self, keep)
    }

    /// The facts back from JSON.
    ///
    /// # Errors
    /// When it is no such JSON; a sentence.
    pub fn decode(json: &Json) -> Result<Self, String> {
        super::fact_format::decode(json)
    }
}

impl Fact {
    /// With what is sealed in it open, as far as it can be opened.
    #[must_use]
    pub fn opened(self, seal: &dyn Fn(&[u8]) -> String, opener: &dyn Opener) -> Self {
        match self {
            Self::Sealed(sealed) => {
                let text = sealed.open(seal, opener).and_then(|text| String::from_utf8(text).ok());
                text.map_or(Self::Sealed(sealed), |text| Self::Text(Some(text)))
            }
            Self::Observed(Observation::Present { attributes, readiness }) => {
                Self::Observed(Observation::Present { attributes: open_sealed(&attributes, seal, opener), readiness })
            }
            Self::Read(Ok(value)) => Self::Read(Ok(open_sealed(&value, seal, opener))),
            Self::Imported(Imported::Present { attributes, identity }) => {
                Self::Imported(Imported::Present { attributes: open_sealed(&attributes, seal, opener), identity })
            }
            other => other,
        }
    }

    /// The same answer with its secrets open where `now` has them by the same digest.
    #[must_use]
    pub fn told_again(mut self, now: &Self, seal: &dyn Fn(&[u8]) -> String) -> Self {
        if let (
            Self::Observed(Observation::Present { attributes: value, .. })
            | Self::Imported(Imported::Present { attributes: value, .. })
            | Self::Read(Ok(value)),
            Some(now),
        ) = (&mut self, now.answered())
        {
            *value = reveal(value, now, seal);
        }
        self
    }

    /// With the words of whoever could not answer changed.
    #[must_use]
    pub fn said(self, change: &dyn Fn(&str) -> String) -> Self {
        match self {
            Self::Observed(Observation::Unreadable(why)) => Self::Observed(Observation::Unreadable(change(&why))),
            Self::Read(Err(why)) => Self::Read(Err(change(&why))),
            Self::Imported(Imported::Failed(why)) => Self::Imported(Imported::Failed(change(&why))),
            Self::Journal(Err(why)) => Self::Journal(Err(change(&why))),
            Self::Previewed(preview) => Self::Previewed(match preview {
                Preview::Would(all) => Preview::Would(all.iter().map(|why| change(why)).collect()),
                Preview::Replace(why) => Preview::Replace(change(&why)),
                Preview::Refused(all) => {
                    Preview::Refused(all.into_iter().map(|(path, why)| (path, change(&why))).collect())
                }
                Preview::NotTold(why) => Preview::NotTold(change(&why)),
                Preview::Same => Preview::Same,
            }),
            Self::Digest(Err(why)) => Self::Digest(Err(change(&why))),
            other => other,
        }
    }

    /// The values that a target or a data source answered, if it did.
    #[must_use]
    pub fn answered(&self) -> Option<&Value> {
        match self {
            Self::Observed(Observation::Present { attributes, .. })
            | Self::Imported(Imported::Present { attributes, .. }) => Some(attributes),
            Self::Read(Ok(value)) => Some(value),
            _ => None,
        }
    }
}
