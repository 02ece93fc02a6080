//! What a plan was made from, as JSON: the blob that a run starts with, and the core of a plan file.
//!
//! A plan file holds its inputs, not its steps to be obeyed: whoever applies it plans again from the same inputs, without
//! asking anybody, and refuses it if the effect that comes out is not the one that the file names. So what `show` shows is
//! what `apply` does. Secrets are in it as keyed digests; their sources have to supply them again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::effect::digest;
use super::input::Options;
use crate::ledger::record::Gates;
use crate::sign::Signed;

/// The version of these formats.
pub const FORMAT: u32 = 1;

/// The version of this engine: a plan is applied by the version that made it.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// The inputs of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedInputs {
    /// The version of the format.
    pub format: u32,
    /// The version of the engine.
    pub engine: String,
    /// The environment's name.
    pub environment: String,
    /// The configuration bundle; `config` knows its form.
    pub bundle: Json,
    /// Files whose contents are secret, which the bundle does not hold: their digests, and sealed where there is somebody to seal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_files: BTreeMap<String, Json>,
    /// The root module's variables, encoded.
    pub variables: BTreeMap<String, Json>,
    /// The facts, encoded.
    pub facts: Json,
    /// Whether secrets in the variables and facts are sealed beside their digests. Of those that stand there as digests all the
    /// same, nobody had more when the plan was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// What else was asked for.
    pub options: SavedOptions,
    /// The seed.
    pub seed: u64,
}

/// [`Options`] as they are saved.
pub type SavedOptions = Options;

/// A plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Says what it is.
    pub gantry_plan: u32,
    /// What the plan was made from.
    pub inputs: SavedInputs,
    /// The lineage of the ledger; `None` where there was none yet.
    pub lineage: Option<String>,
    /// The digest of what planning read from the ledger.
    pub basis: String,
    /// The digest of the steps.
    pub effect: String,
    /// The steps as text, for people; the effect is its digest.
    pub steps: String,
    /// The project's directory, for commands and files that act in it.
    pub project: String,
    /// The environment's directory within the project.
    pub directory: String,
    /// The key of the file's keyed digests where no ledger had one yet; hexadecimal.
    pub key: Option<String>,
    /// What has to be passed before it is applied, beside what is recorded then.
    #[serde(default, skip_serializing_if = "Gates::is_none")]
    pub gates: Gates,
    /// Who made it, signed, where it needs approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Signed>,
    /// The digest of all of the above.
    pub digest: String,
}

/// Why a plan file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// It is no plan file at all.
    #[error("it is not a plan file of Gantry ({0})")]
    NotAPlan(String),
    /// Its bytes are not those that were written.
    #[error("it was changed after it was written: its digest does not fit its content")]
    Edited,
    /// Another version wrote it.
    #[error("it was made by Gantry {made}, and this is {ENGINE}")]
    OtherEngine {
        /// The version that made it.
        made: String,
    },
    /// It belongs to a newer format.
    #[error("its format is {found}, and this Gantry knows {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
}

impl PlanFile {
    /// With its digest set.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.digest = self.content_digest();
        self
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("invariant: a plan file is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// When it is none, was edited, or belongs to another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanFileError> {
        let json: Json = serde_json::from_slice(bytes).map_err(|e| PlanFileError::NotAPlan(e.to_string()))?;
        let format = json.get("gantry_plan").and_then(Json::as_u64);
        match format.and_then(|n| u32::try_from(n).ok()) {
            None => return Err(PlanFileError::NotAPlan("\"gantry_plan\" is missing".into())),
            Some(found) if found > FORMAT => return Err(PlanFileError::Newer { found }),
            Some(_) => {}
        }
        let made = json.pointer("/inputs/engine").and_then(Json::as_str).unwrap_or_default();
        if made != ENGINE {
            return Err(PlanFileError::OtherEngine { made: made.to_owned() });
        }
        let file: Self = serde_json::from_value(json).map_err(|e| PlanFileError::NotAPlan(e.to_string()))?;
        // A file is one spelling: what does not come out as it went in was written by somebody else.
        if file.digest != file.content_digest() || file.to_bytes() != bytes {
            return Err(PlanFileError::Edited);
        }
        Ok(file)
    }

    /// What stands for the ledger's lineage in what is signed about it: of a plan from before the ledger, its own key, so that
    /// what is signed is about this file alone.
    #[must_use]
    pub fn lineage_to_sign(&self) -> String {
        let of_key = || digest(self.key.as_deref().unwrap_or_default().as_bytes())[..32].to_owned();
        self.lineage.clone().unwrap_or_else(|| format!("new:{}", of_key()))
    }

    fn content_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        digest(&serde_json::to_vec(&bare).expect("invariant: a plan file is plain data"))
    }
}
