//! The `state` block of an environment: where its ledger is kept. It is no part of what a plan does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::settings::Alone;
use crate::config::desired::BlockBody;
use crate::diag::{Diagnostic, Span};
use crate::eval::{Budget, Evaluator, Host, Reference, Term, TermKind};
use crate::value::{Type, Value, convert};

/// What is known, or away with the word that it is not.
macro_rules! open {
    ($known:expr) => {
        match $known {
            Known::Yes(value) => value,
            Known::No => return Ok(None),
        }
    };
}
/// The name of the schema in a database where none is named.
const SCHEMA: &str = "gantry";

/// Where an environment's ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StateSettings {
    /// In the environment's directory below `state/`: nothing is said, or `state "local" {}`.
    #[default]
    Here,
    /// In another directory of this machine: a path, relative to the environment's directory.
    Directory(String),
    /// In a database.
    Postgres(PostgresState),
    /// In a bucket.
    S3(S3State),
}

/// `state "postgres"`
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresState {
    /// The database's URL: a secret.
    pub url: String,
    /// The schema that holds Gantry's tables.
    pub schema: String,
    /// The ledger's name among others in the same schema; that of the environment where none is given.
    pub name: Option<String>,
}

impl fmt::Debug for PostgresState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresState").field("schema", &self.schema).field("name", &self.name).finish_non_exhaustive()
    }
}

/// `state "s3"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3State {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects start with; the environment's name is appended.
    pub prefix: Option<String>,
    /// The region; that of the credentials' profile where none is given.
    pub region: Option<String>,
    /// The URL of a service that is not Amazon's.
    pub endpoint: Option<String>,
    /// The profile whose credentials are used.
    pub profile: Option<String>,
    /// Whether the bucket stands in the path instead of the host's name; `None` leaves it to the backend.
    pub force_path_style: Option<bool>,
    /// Where the block stands.
    pub span: Span,
}

impl StateSettings {
    /// Evaluates the block, which is done before anything is planned: from literals, functions, `env` (whom `host` answers),
    /// `path.*` and variables. `None` where something in it is not known: a variable without a value, in a look that does
    /// without.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn evaluate(
        environment: &BlockBody,
        variables: &BTreeMap<Arc<str>, Value>,
        project: &str,
        directory: &str,
        host: &dyn Host,
    ) -> Result<Option<Self>, Diagnostic> {
        let Some(block) = environment.body.blocks.iter().find(|b| &*b.ty == "state") else {
            return Ok(Some(Self::Here));
        };
        if block.dynamic.is_some() {
            let detail = "Where the ledger is kept is read before anything else, so its block cannot be a dynamic one.";
            return Err(Diagnostic::error("Dynamic state block", detail).at(block.span));
        }
        let budget = Budget::new(Budget::PLAN);
        let scope = Alone { variables, project, directory };
        let evaluator = Evaluator { scope: &scope, host, budget: &budget, site: &"environment" };
        let reader = Reader { block, evaluator };
        match block.labels.first().map(|l| &**l) {
            Some("local") => {
                let path = open!(reader.text("path")?);
                Ok(Some(path.map_or(Self::Here, Self::Directory)))
            }
            Some("postgres") => {
                let url = open!(reader.required("url")?);
                let schema = open!(reader.text("schema")?).unwrap_or_else(|| SCHEMA.to_owned());
                let name = open!(reader.text("name")?);
                Ok(Some(Self::Postgres(PostgresState { url, schema, name })))
            }
            Some("s3") => Ok(Some(Self::S3(S3State {
                bucket: open!(reader.required("bucket")?),
                prefix: open!(reader.text("prefix")?),
                region: open!(reader.text("region")?),
                endpoint: open!(reader.text("endpoint")?),
                profile: open!(reader.text("profile")?),
                force_path_style: open!(reader.flag("force_path_style")?),
                span: block.span,
            }))),
            // What is no kind was said when the block was read.
            _ => Ok(None),
        }
    }
}

/// A value that may not be known.
enum Known<T> {
    Yes(T),
    No,
}

impl<T> Known<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Yes(value) => Known::Yes(f(value)),
            Self::No => Known::No,
        }
    }
}

/// Reads the arguments of the block.
struct Reader<'a> {
    block: &'a BlockBody,
    evaluator: Evaluator<'a>,
}

impl Reader<'_> {
    fn get(&self, name: &str, ty: &Type) -> Result<Known<Option<Value>>, Diagnostic> {
        let Some(attribute) = self.block.body.attributes.get(name) else { return Ok(Known::Yes(None)) };
        let value = self.evaluator.evaluate(&attribute.term).map_err(|e| *e)?;
        let wrong = |why: String| {
            // The place may show what must not be shown.
            let place = harmless(&attribute.term).unwrap_or(attribute.name_span);
            Diagnostic::error("Incorrect argument value type", format!("\"{name}\": {why}.")).at(place)
        };
        let value = convert(&value, ty).map_err(|e| wrong(e.to_string()))?;
        match () {
            () if !value.is_wholly_known() => Ok(Known::No),
            () if value.is_null() => Ok(Known::Yes(None)),
            () if value.as_str() == Some("") => Err(wrong("it is empty".into())),
            () => Ok(Known::Yes(Some(value))),
        }
    }

    fn text(&self, name: &str) -> Result<Known<Option<String>>, Diagnostic> {
        Ok(self.get(name, &Type::String)?.map(|value| value.and_then(|v| v.as_str().map(str::to_owned))))
    }

    fn flag(&self, name: &str) -> Result<Known<Option<bool>>, Diagnostic> {
        Ok(self.get(name, &Type::Bool)?.map(|value| value.and_then(|v| v.as_bool())))
    }

    fn required(&self, name: &str) -> Result<Known<String>, Diagnostic> {
        let missing = || {
            let detail = format!("The argument \"{name}\" is required, but it is not set in this block.");
            Diagnostic::error("Missing required argument", detail).at(self.block.span)
        };
        match self.text(name)? {
            Known::Yes(found) => found.map(Known::Yes).ok_or_else(missing),
            Known::No => Ok(Known::No),
        }
    }
}

/// Where a term stands, unless what stands there may be a secret in clear.
fn harmless(term: &Term) -> Option<Span> {
    let shows_nothing = match &term.kind {
        TermKind::Reference(Reference { .. }) => true,
        TermKind::Call { name, .. } => &**name == "env",
        _ => false,
    };
    shows_nothing.then_some(term.span)
}
