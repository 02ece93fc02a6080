//! The flags of those who sign: with which key, and what was handed over to them.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::root::Context;
use crate::ops::consent::Agreeing;
use crate::ops::signing::Signing;
use crate::ports::terminal;

/// Who signs.
#[derive(Debug, Default, Args)]
pub(super) struct Signs {
    /// Where approval is required: sign with this private key of OpenSSH, or, for a public one, with the ssh-agent's
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Signs {
    /// As the use cases want it.
    pub(super) fn signing(&self, context: &Context) -> Signing {
        let shell = context.shell;
        let ask = move |path: &str| {
            if !shell.can_ask() {
                return None;
            }
            let question = format!("Passphrase for {}: ", crate::diag::escape_controls(path));
            let typed = terminal::hidden_line(|| shell.err(&question));
            shell.err("\n");
            typed
        };
        Signing { key: self.key.as_ref().map(|path| context.directory.join(path)), ask: Some(Arc::new(ask)) }
    }
}

/// What whoever starts a run says about approval.
#[derive(Debug, Default, Args)]
pub(super) struct Agrees {
    #[command(flatten)]
    signs: Signs,
    /// Take this approval, which gantry approve --out wrote; may be given several times
    #[arg(long, value_name = "FILE")]
    approval: Vec<PathBuf>,
}

impl Agrees {
    /// As the use cases want it.
    pub(super) fn agreeing(&self, context: &Context) -> Agreeing {
        let approvals = self.approval.iter().map(|path| context.directory.join(path)).collect();
        Agreeing { signing: self.signs.signing(context), approvals }
    }
}
