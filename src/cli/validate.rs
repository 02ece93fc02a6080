//! `gantry validate`

use clap::Args;
use serde_json::json;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::diag::{Diagnostics, SourceMap};
use crate::ops::{self, FailureKind, Result};
use crate::view;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    validate(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn validate(context: &Context, arguments: &Arguments) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let given = arguments.variables.given()?;
    match ops::validate::validate(&workspace, &given).await {
        Ok(checked) => {
            if context.shell.json {
                context.shell.out_json(&report(&checked.warnings, &checked.sources));
            } else {
                context.shell.diagnostics(&checked.warnings, &checked.sources);
                context.shell.out(&format!("Success! The configuration of \"{}\" is valid.\n", workspace.name));
            }
            Ok(exit_code::SUCCESS)
        }
        Err(failure) if context.shell.json && failure.kind == FailureKind::Error => {
            context.shell.out_json(&report(&failure.diagnostics, &failure.sources));
            Ok(exit_code::ERROR)
        }
        Err(failure) => Err(failure),
    }
}

/// Terraform's validate format.
fn report(all: &Diagnostics, sources: &SourceMap) -> serde_json::Value {
    let list: Vec<serde_json::Value> = all.sorted().into_iter().map(|d| view::json::diagnostic(d, sources)).collect();
    let errors = all.errors();
    json!({
        "format_version": "1.0",
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": list.len() - errors,
        "diagnostics": list,
    })
}
