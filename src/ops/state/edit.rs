//! `state mv` and `state rm`: what the ledger knows under which address, by a person's hand. Each change is an entry with author
//! and reason; the objects themselves are not touched.

use std::collections::BTreeSet;

use crate::addr::{Address, Selection};
use crate::diag::did_you_mean;
use crate::ledger::State;
use crate::ledger::event::Event;
use crate::ops::error::{Failure, Result};
use crate::ops::run::Opened;

/// Gives records other addresses, and gives the pairs of old and new. With `dry` nothing is written.
///
/// # Errors
/// When there is nothing to move, the addresses do not go together, one is taken, or the ledger cannot be written.
pub async fn mv(
    opened: &mut Opened,
    from: &Selection,
    to: &Selection,
    reason: Option<&str>,
    dry: bool,
) -> Result<Vec<(Address, Address)>> {
    no_open_run(opened)?;
    let pairs = moves(&opened.state, from, to)?;
    if !dry {
        let reason = reason.map(str::to_owned);
        let event = |(from, to): &(Address, Address)| Event::Moved {
            from: from.clone(),
            to: to.clone(),
            reason: reason.clone(),
        };
        opened.note_all(pairs.iter().map(event).collect()).await?;
    }
    Ok(pairs)
}

/// Drops records, so that Gantry knows nothing more of their objects, which stay as they are; gives the addresses. Nothing is
/// written where `confirm` says no.
///
/// # Errors
/// When there is nothing to drop, nobody can be asked, or the ledger cannot be written.
pub async fn rm(
    opened: &mut Opened,
    selections: &[Selection],
    reason: Option<&str>,
    confirm: &mut (dyn FnMut(&[Address]) -> Result<bool> + Send),
) -> Result<Option<Vec<Address>>> {
    no_open_run(opened)?;
    let mut found = BTreeSet::new();
    for selection in selections {
        found.extend(covered(&opened.state, selection)?);
    }
    let found: Vec<Address> = found.into_iter().collect();
    if !confirm(&found)? {
        return Ok(None);
    }
    let reason = reason.map(str::to_owned);
    let event = |address: &Address| Event::Removed { address: address.clone(), reason: reason.clone() };
    opened.note_all(found.iter().map(event).collect()).await?;
    Ok(Some(found))
}

pub(in crate::ops) fn no_open_run(opened: &Opened) -> Result<()> {
    match &opened.state.open {
        None => Ok(()),
        Some(open) => {
            let detail = format!("{} was interrupted, and its records are still on their way.", open.run);
            let next = format!("Go on with it first: gantry resume {}", opened.workspace.name);
            Err(Failure::refused("Interrupted run", detail).hint(next))
        }
    }
}

/// The records that are meant.
fn covered(state: &State, selection: &Selection) -> Result<Vec<Address>> {
    let exact = match selection {
        // With a record of just this address, other instances of the block are not meant.
        Selection::Node(node) if state.records.contains_key(node) => Some(vec![node.clone()]),
        _ => None,
    };
    let found =
        exact.unwrap_or_else(|| state.records.keys().filter(|address| selection.covers(address)).cloned().collect());
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<String> = state.records.keys().map(ToString::to_string).collect();
    let failure = Failure::error("No such record", format!("The ledger has no record of {selection}."));
    Err(match did_you_mean(&selection.to_string(), known.iter().map(String::as_str)) {
        Some(hint) => failure.hint(hint),
        None => failure.hint("List all: gantry state list"),
    })
}

/// From where to where records move.
fn moves(state: &State, from: &Selection, to: &Selection) -> Result<Vec<(Address, Address)>> {
    let refused = |why: String| Failure::error("Invalid move", why);
    let mut pairs = Vec::new();
    for address in covered(state, from)? {
        let Some(target) = from.moved(to, &address) else {
            return Err(refused(format!(
                "{address} cannot become {to}: a module moves to a module and a resource to a resource, and several instances \
                 keep their keys."
            )));
        };
        if target.kind != address.kind || target.ty != address.ty {
            return Err(refused(format!(
                "{address} cannot become {target}: a record keeps its type, for the object that it is about does."
            )));
        }
        if target == address {
            return Err(refused(format!("{address} has this address already.")));
        }
        pairs.push((address, target));
    }
    let going: BTreeSet<&Address> = pairs.iter().map(|(from, _)| from).collect();
    if let Some((from, to)) = pairs.iter().find(|(_, to)| state.records.contains_key(to)) {
        let also = if going.contains(to) { ", which would have to move first" } else { "" };
        return Err(refused(format!("{from} cannot become {to}: the ledger has a record of that{also}."))
            .hint("To have a record forgotten: gantry state rm"));
    }
    Ok(pairs)
}
