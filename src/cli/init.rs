//! `gantry init`

use std::path::PathBuf;

use clap::Args;

use super::root::Context;
use super::{error, exit_code};
use crate::ops::from_cluster::{self, Source, Taken};
use crate::ops::{self, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of the environment that is written [default: dev, or that of the namespace]
    environment: Option<String>,
    /// Write down what stands in this namespace of a cluster, with import blocks that take it on
    #[arg(long, value_name = "NAMESPACE")]
    from_cluster: Option<String>,
    /// The kubeconfig; else the one that kubectl takes
    #[arg(long, value_name = "FILE", requires = "from_cluster")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; else its current one
    #[arg(long, value_name = "NAME", requires = "from_cluster")]
    context: Option<String>,
    /// Only objects with these labels, as kubectl takes them
    #[arg(long, value_name = "LABELS", requires = "from_cluster")]
    selector: Option<String>,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    let done = match &arguments.from_cluster {
        Some(namespace) => taken_on(context, arguments, namespace).await,
        None => init(context, arguments.environment.as_deref().unwrap_or("dev")),
    };
    done.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

fn init(context: &Context, environment: &str) -> Result<u8> {
    let written = ops::init::init(&context.directory, environment)?;
    if written.is_empty() {
        context.shell.out(&format!(
            "The environment \"{environment}\" is there already; nothing was written.\n\nNext: gantry plan {environment}\n",
        ));
        return Ok(exit_code::SUCCESS);
    }
    let list: String = written.iter().map(|path| format!("  {path}\n")).collect();
    context
        .shell
        .out(&format!("Written:\n{list}\nNext: gantry plan {environment}\n      gantry apply {environment}\n"));
    Ok(exit_code::SUCCESS)
}

async fn taken_on(context: &Context, arguments: &Arguments, namespace: &str) -> Result<u8> {
    let source = Source {
        namespace: namespace.to_owned(),
        kubeconfig: arguments.kubeconfig.clone(),
        context: arguments.context.clone(),
        selector: arguments.selector.clone(),
    };
    let name = arguments.environment.as_deref().unwrap_or(namespace);
    let taken = from_cluster::from_cluster(&context.directory, name, &source).await?;
    context.shell.out(&shown(&taken, namespace));
    // What could not be read is not taken on, and nobody should think that it was not there.
    Ok(if taken.unread.is_empty() { exit_code::SUCCESS } else { exit_code::INCOMPLETE })
}

fn counted(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

fn shown(taken: &Taken, namespace: &str) -> String {
    let files: String = taken
        .written
        .iter()
        .map(|(path, count)| match count {
            0 => format!("  {path}\n"),
            count => format!("  {path}  {}\n", counted(*count)),
        })
        .collect();
    let mut out = format!(
        "Read {} from the namespace {namespace} of {}.\n\nWritten:\n{files}",
        counted(taken.objects),
        taken.url
    );
    let mut part = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push_str(&format!("\n{title}\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>()));
        }
    };
    part("Left out:", taken.left_out.iter().map(|(why, count)| format!("{count} {why}")).collect());
    part("Left to the environment of Gantry that manages it:", taken.elsewhere.clone());
    part("Not read:", taken.unread.clone());
    part(
        "The content of Secrets is in no file. These variables hold it; a plan needs their values:",
        taken.variables.iter().map(|name| format!("GANTRY_VAR_{name}")).collect(),
    );
    out.push_str(&format!("\nNext: gantry plan {}\n", taken.name));
    out
}
