//! Records: what the ledger knows of each resource.

use serde_json::Value as Json;

use super::diff;
use super::outputs::recorded;
use super::page::{Mark, Page};
use crate::addr::Address;
use crate::ledger::State;
use crate::ledger::record::Record;
use crate::view::Style;
use crate::view::words::clean;

/// The addresses of all records, a line each.
#[must_use]
pub fn state_list(state: &State) -> String {
    state.records.keys().map(|address| format!("{}\n", clean(&address.to_string()))).collect()
}

/// One record with its attributes, and where it stands.
#[must_use]
pub fn state_show(address: &Address, record: &Record, style: Style) -> String {
    let mut page = Page::new(style);
    write_record(&mut page, address, record);
    page.gap();
    let needs: Vec<String> = record.dependencies.iter().map(|a| clean(&a.to_string())).collect();
    page.prose(&format!(
        "# provider {}, made or last changed in generation {}",
        clean(&record.provider),
        record.generation
    ));
    if !needs.is_empty() {
        page.prose(&format!("# depends on {}", needs.join(", ")));
    }
    page.finish()
}

/// Writes a record as a block.
pub(super) fn write_record(page: &mut Page, address: &Address, record: &Record) {
    let line = page.style().bold(&format!("# {}:", clean(&address.to_string())));
    page.prose(&line);
    page.prose(&format!("resource \"{}\" \"{}\" {{", clean(&record.ty), clean(&address.name)));
    write_attributes(page, &record.attributes);
    page.prose("}");
}

/// Writes recorded attributes, or that they cannot be read.
pub(super) fn write_attributes(page: &mut Page, attributes: &Json) {
    match recorded(attributes).as_ref().and_then(|v| v.as_map()) {
        Some(map) => diff::whole_attributes(page, 0, Mark::Keep, map, ""),
        None => page.comment(0, "(the recorded attributes cannot be read)"),
    }
}
