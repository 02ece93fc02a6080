//! `drift`: what is there against what is recorded. It takes no lease and writes nothing, and needs neither the values of
//! variables nor a configuration that plans: what is asked for does not matter here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Result;
use super::planning;
use super::records::Records;
use super::secrets::Secrets;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::addr::Address;
use crate::config::VarArg;
use crate::ledger::format::time_text;
use crate::ledger::record::Record;
use crate::ledger::{Key, State};
use crate::plan::drift::{self, Finding, Standing};
use crate::provider::{ChangedParts, Observation, ObserveRequest, Role};
use crate::value::{Seal, Value};

pub use crate::plan::drift::Drift;
pub use crate::plan::watch::Seen;

/// A record, read for the question about its object.
struct Recorded<'r> {
    address: &'r Address,
    record: &'r Record,
    /// The object; or why the record cannot be read.
    value: std::result::Result<Value, String>,
}

/// Looks at everything that an environment's ledger knows of.
///
/// # Errors
/// When the ledger cannot be found or read.
pub async fn drift(workspace: &Workspace, variables: &[VarArg]) -> Result<Drift> {
    let records = Records::read(workspace, variables).await?;
    let targets = Targets::open(workspace, records.lineage.as_deref().unwrap_or_default(), None)?;
    let state = &records.state;
    let secrets = prepare(workspace, variables, state, Arc::clone(&records.key), &targets).await?;
    Ok(Drift {
        environment: workspace.name.clone(),
        generation: state.current().map(|generation| generation.number),
        open: state.open.as_ref().map(|open| open.run.clone()),
        findings: look(state, &targets, &secrets).await,
    })
}

/// What a look needs of the configuration, from one reading of it: the providers that it configures, and what secrets are opened
/// with. Where it cannot be read, what needs no configuration is looked at.
///
/// # Errors
/// When a provider block is wrong, or this machine's identities cannot be read.
pub(super) async fn prepare(
    workspace: &Workspace,
    variables: &[VarArg],
    state: &State,
    key: Arc<Key>,
    targets: &Targets,
) -> Result<Secrets> {
    let machine = Secrets::of_machine(key)?;
    let Ok((draft, _)) = planning::open_to_look(workspace, variables) else {
        targets.configure(&[]);
        return Ok(machine);
    };
    let secrets = machine.configured_alone(&draft, workspace).unwrap_or(machine);
    planning::Planning::new(workspace, targets.catalog(), Some(targets), &secrets).configure(&draft, state).await?;
    Ok(secrets)
}

/// Looks at all that is recorded.
pub(super) async fn look(state: &State, targets: &Targets, secrets: &Secrets) -> Vec<Finding> {
    let seal = |bytes: &[u8]| secrets.key.hmac(bytes);
    let all: Vec<Recorded<'_>> =
        state.records.iter().map(|(address, record)| recorded(address, record, targets, secrets, &seal)).collect();
    let question = |one: &Recorded<'_>| {
        let value = one.value.as_ref().ok()?;
        let prior = drift::prior(one.record, value);
        let (address, provider) = (one.address.clone(), one.record.provider.clone());
        let request = ObserveRequest { provider, address, ty: one.record.ty.clone(), prior };
        Some((one.address.to_string(), request))
    };
    let requests: BTreeMap<String, ObserveRequest> = all.iter().filter_map(question).collect();
    let answers = targets.observe(requests.clone().into_iter().collect()).await;
    let answers: BTreeMap<String, Observation> = answers.into_iter().collect();
    let now = time_text(targets.now());
    let found = all.into_iter().map(|one| {
        let known = state.acknowledged.get(one.address);
        let mut finding = finding(one, &answers, targets, &seal);
        if let Some(known) = known {
            finding.known = drift::recognise(&mut finding.parts, known, &now, &seal);
        }
        finding
    });
    let mut found: Vec<Finding> = found.collect();
    let changed = |finding: &Finding| {
        let Standing::Changed { differs, .. } = &finding.standing else { return None };
        let key = finding.address.to_string();
        let paths = differs.iter().map(ToString::to_string).collect();
        Some((key.clone(), ChangedParts { object: requests.get(&key)?.clone(), paths }))
    };
    let mut authors: BTreeMap<_, _> =
        targets.changed_by(found.iter().filter_map(changed).collect()).await.into_iter().collect();
    for finding in &mut found {
        finding.changed_by = authors.remove(&finding.address.to_string()).unwrap_or_default();
    }
    found
}

fn recorded<'r>(
    address: &'r Address,
    record: &'r Record,
    targets: &Targets,
    secrets: &Secrets,
    seal: Seal<'_>,
) -> Recorded<'r> {
    let value = match targets.catalog().get(Role::Managed, &record.ty) {
        None => Err(format!("This Gantry knows no resource type \"{}\".", record.ty)),
        Some(schema) => drift::recorded(record, schema, seal, &*secrets.opener())
            .map(|value| schema.marked(&value))
            .map_err(|e| format!("Its record cannot be read: {e}.")),
    };
    Recorded { address, record, value }
}

fn finding(one: Recorded<'_>, answers: &BTreeMap<String, Observation>, targets: &Targets, seal: Seal<'_>) -> Finding {
    let (recorded, standing) = match one.value {
        Err(why) => (Value::null(crate::value::Type::Any), Standing::Unreadable(why)),
        Ok(value) => {
            let seen = answers.get(&one.address.to_string());
            let schema = targets.catalog().get(Role::Managed, &one.record.ty);
            let standing = match seen.zip(schema) {
                Some((observation, schema)) => drift::standing(schema, &value, observation, seal),
                None => Standing::Unreadable(format!("No provider answered for the type \"{}\".", one.record.ty)),
            };
            (value, standing)
        }
    };
    let parts = drift::parts(&standing, seal);
    Finding {
        address: one.address.clone(),
        provider: one.record.provider.clone(),
        recorded,
        standing,
        parts,
        known: Vec::new(),
        changed_by: Vec::new(),
    }
}
