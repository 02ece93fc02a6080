//! The line that is signed: one line of canonical JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// The number of the line's form, which stands under the name of its role.
const FORM: u64 = 1;

/// The longest line.
const LINE_MAX: usize = 4096;

/// As what somebody signs. Each has a line of its own form, so that nobody's name under a plan can be taken for an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Agrees that it is carried out.
    Approval,
    /// Made the plan.
    Author,
    /// Starts the run.
    Start,
}

impl Role {
    /// The name of the line's first word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Author => "author",
            Self::Start => "start",
        }
    }
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As what.
    pub role: Role,
    /// The plan's effect.
    pub effect: String,
    /// The environment's name.
    pub environment: String,
    /// The ledger's lineage.
    pub lineage: String,
    /// For an approval: until when it counts.
    pub expires: Option<Timestamp>,
    /// Random; makes it count once.
    pub nonce: String,
}

/// Why a line is none; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is too long.
    #[error("it is longer than {LINE_MAX} bytes")]
    Long,
    /// It is not the JSON that is expected.
    #[error("it is not one line of JSON with {0}")]
    Form(&'static str),
    /// It is of a later Gantry.
    #[error("its form is {0}, and this Gantry knows {FORM}")]
    Newer(u64),
    /// It is JSON in another spelling.
    #[error("it is not spelt as Gantry spells it, so what was signed is not what it says")]
    Spelling,
}

impl Statement {
    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let mut fields = BTreeMap::from([
            (self.role.word(), json!(FORM)),
            ("effect", json!(self.effect)),
            ("environment", json!(self.environment)),
            ("lineage", json!(self.lineage)),
            ("nonce", json!(self.nonce)),
        ]);
        if let Some(expires) = self.expires {
            fields.insert("expires", json!(expires.to_string()));
        }
        serde_json::to_string(&fields).expect("invariant: texts and a number")
    }

    /// What is signed of a line: the line with its end, as it stands in a file.
    #[must_use]
    pub fn message(line: &str) -> Vec<u8> {
        format!("{line}\n").into_bytes()
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(line: &str) -> Result<Self, LineError> {
        const APPROVAL: &str = "approval, effect, environment, expires, lineage and nonce";
        if line.len() > LINE_MAX {
            return Err(LineError::Long);
        }
        let Ok(Json::Object(fields)) = serde_json::from_str(line) else { return Err(LineError::Form(APPROVAL)) };
        let role = [Role::Approval, Role::Author, Role::Start].into_iter().find(|r| fields.contains_key(r.word()));
        let role = role.ok_or(LineError::Form(APPROVAL))?;
        let form = match role {
            Role::Approval => APPROVAL,
            Role::Author => "author, effect, environment, lineage and nonce",
            Role::Start => "effect, environment, lineage, nonce and start",
        };
        match fields[role.word()].as_u64() {
            Some(FORM) => {}
            Some(newer) if newer > FORM => return Err(LineError::Newer(newer)),
            _ => return Err(LineError::Form(form)),
        }
        let text = |name: &str| match fields.get(name) {
            Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(LineError::Form(form)),
        };
        let expires = match role {
            Role::Approval => Some(text("expires")?.parse().map_err(|_| LineError::Form(form))?),
            Role::Author | Role::Start => None,
        };
        let (effect, environment) = (text("effect")?, text("environment")?);
        let statement = Self { role, effect, environment, lineage: text("lineage")?, expires, nonce: text("nonce")? };
        // One spelling for each: no field more, none twice, no space.
        if statement.line() != line { Err(LineError::Spelling) } else { Ok(statement) }
    }
}
