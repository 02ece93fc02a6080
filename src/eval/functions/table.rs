//! The one table of all functions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{
    Function, collection, conversion, date, encoding, filesystem, hash, network, numeric, regexp, sequence, set, string,
};

static TABLE: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let groups = [
        ("numeric", numeric::functions()),
        ("string", string::functions()),
        ("string", regexp::functions()),
        ("collection", collection::functions()),
        ("collection", sequence::functions()),
        ("collection", set::functions()),
        ("encoding", encoding::functions()),
        ("filesystem", filesystem::functions()),
        ("date and time", date::functions()),
        ("hash and crypto", hash::functions()),
        ("network", network::functions()),
        ("type conversion", conversion::functions()),
    ];
    let named = |(group, functions): (&'static str, Vec<Function>)| {
        functions.into_iter().map(move |function| (function.name, Function { group, ..function }))
    };
    groups.into_iter().flat_map(named).collect()
});

/// The function of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name)
}

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// All functions, in the order of their names.
pub fn all() -> impl Iterator<Item = &'static Function> {
    TABLE.values()
}
