//! `gantry version`

use clap::Args;

use super::exit_code;
use super::root::Context;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context) -> u8 {
    let version = env!("CARGO_PKG_VERSION");
    if context.shell.json {
        context.shell.out_json(&serde_json::json!({ "gantry_version": version }));
    } else {
        context.shell.out(&format!("gantry {version}\n"));
    }
    exit_code::SUCCESS
}
