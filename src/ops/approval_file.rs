//! An approval as a file: what one hands over to somebody who can write the ledger, or starts the run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Failure, Result, sentence};
use crate::plan::effect;
use crate::ports::fs;
use crate::sign::{Role, Signed};

/// The largest file with an approval: it holds the steps as text.
const FILE_MAX: u64 = 256 << 20;

/// The number of its form.
const FILE_FORM: u32 = 1;

/// An approval as a file: what one hands over to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFile {
    /// Says what it is.
    pub gantry_approval: u32,
    /// The line that was signed.
    pub line: String,
    /// The armoured signature.
    pub signature: String,
    /// The steps that it is about, as text.
    pub steps: String,
}

impl ApprovalFile {
    /// An approval with the steps that it is about.
    #[must_use]
    pub fn new(signed: Signed, steps: String) -> Self {
        Self { gantry_approval: FILE_FORM, line: signed.line, signature: signed.signature, steps }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("invariant: an approval is plain data");
        bytes.push(b'\n');
        fs::write_atomic(path, &bytes, 0o644)
            .map_err(|e| Failure::error("Cannot write approval", sentence(&format!("{e}: {}.", e.source))))
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or its steps are not those that were signed.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let refused = |why: String| {
            Failure::refused("Approval refused", format!("The file {shown} is not taken as an approval: {why}."))
                .hint("An approval is written with: gantry approve PLAN --key FILE --out FILE")
        };
        let bytes = fs::read(path, FILE_MAX)
            .map_err(|e| Failure::error("Cannot read approval", format!("{e}: {}.", e.source)))?;
        let file: Self = serde_json::from_slice(&bytes).map_err(|e| refused(e.to_string()))?;
        if file.gantry_approval != FILE_FORM {
            return Err(refused(format!("its form is {}, and this Gantry knows {FILE_FORM}", file.gantry_approval)));
        }
        let claim = file.signed().open(Role::Approval).map_err(|e| refused(e.to_string()))?;
        if effect::digest(file.steps.as_bytes()) != claim.statement.effect {
            return Err(refused("the steps in it are not those that were signed".into()));
        }
        Ok(file)
    }

    /// The line with its signature.
    #[must_use]
    pub fn signed(&self) -> Signed {
        Signed { line: self.line.clone(), signature: self.signature.clone() }
    }
}
