//! `gantry ack`: drift that is known and no alarm for a time.

use clap::Args;
use serde_json::json;

use super::changing::Variables;
use super::root::Context;
use super::state::Waiting;
use super::{error, exit_code};
use crate::ops::{self, Failure, Result, ack};
use crate::view::human;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment, and the object with the part of it that is meant, as in local_file.a or local_file.a.content; where there is
    /// only one environment it may be left out
    #[arg(num_args = 1..=2, required = true, value_name = "[ENVIRONMENT] ADDRESS[.PATH]")]
    words: Vec<String>,
    /// Why it is no alarm; it is recorded and shown
    #[arg(long, value_name = "TEXT", required_unless_present = "withdraw")]
    reason: Option<String>,
    /// How long, as in 12h or 7d; at most 365d
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    expires: String,
    /// Take an acknowledgement back
    #[arg(long, conflicts_with = "expires")]
    withdraw: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    acknowledge(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn acknowledge(context: &Context, arguments: &Arguments) -> Result<u8> {
    let expires = ops::parse_duration_up_to(&arguments.expires, ack::LONGEST, "a year");
    let expires = expires
        .and_then(|expires| if expires.is_zero() { Err("it is over at once".to_owned()) } else { Ok(expires) })
        .map_err(|why| Failure::error("Invalid --expires", format!("--expires takes a duration: {why}.")))?;
    let (environment, target) = match arguments.words.as_slice() {
        [environment, target] => (Some(environment.as_str()), target),
        words => (None, &words[0]),
    };
    let variables = arguments.variables.given()?;
    let how = arguments.waiting.how(context)?;
    let mut opened = arguments.waiting.open_for(context, environment, &variables, &how).await?;
    let reason = arguments.reason.as_deref();
    let done = match arguments.withdraw {
        true => ack::withdraw(&mut opened, target, reason).await,
        false => ack::acknowledge(&mut opened, &variables, target, reason.unwrap_or_default(), expires).await,
    };
    opened.close().await;
    let done = done?;
    if context.shell.json {
        let said = json!({
            "address": done.address.to_string(),
            "path": done.path,
            "parts": done.parts,
            "reason": reason,
            "expires": done.expires,
        });
        let name = if arguments.withdraw { "withdrawn" } else { "acknowledged" };
        context.shell.out_json(&json!({ name: said }));
    } else {
        let (address, expires) = (done.address.to_string(), done.expires.as_deref());
        context.shell.out(&human::drift::acknowledged(&address, done.path.as_deref(), expires));
    }
    Ok(exit_code::SUCCESS)
}
