//! The one table of all functions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{
    Function, collection, conversion, crypto, date, encoding, filesystem, hash, manifest, network, numeric, regexp,
    sequence, set, string, template, terraform,
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
        ("encoding", manifest::functions()),
        ("filesystem", filesystem::functions()),
        ("template", template::functions()),
        ("date and time", date::functions()),
        ("hash and crypto", hash::functions()),
        ("hash and crypto", crypto::functions()),
        ("network", network::functions()),
        ("type conversion", conversion::functions()),
        ("provider", terraform::functions()),
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

/// What a namespaced name of a provider's function starts with.
const PROVIDER: &str = "provider::";

/// The functions of Terraform's `kubernetes` provider that Gantry has under plain names.
const KUBERNETES: [&str; 3] = ["manifest_decode", "manifest_decode_multi", "manifest_encode"];

/// The name under which the table has what is called by a name: `core::upper` is `upper`, and a provider's function has the
/// name that the built-in provider gives it, whatever the module calls that provider.
#[must_use]
pub fn plain(name: &str) -> Cow<'_, str> {
    match name.strip_prefix(PROVIDER).and_then(|rest| rest.split_once("::")) {
        Some((_, function)) if KUBERNETES.contains(&function) => function.into(),
        Some((_, function)) => format!("{PROVIDER}terraform::{function}").into(),
        None => name.strip_prefix("core::").unwrap_or(name).into(),
    }
}

/// The built-in provider whose function this is, by its full name (`provider::NAME::FUNCTION`), and what the module calls
/// that provider.
#[must_use]
pub fn provided(name: &str) -> Option<(&str, &'static str)> {
    let (provider, function) = name.strip_prefix(PROVIDER)?.split_once("::")?;
    let built_in = if KUBERNETES.contains(&function) { "kubernetes" } else { "terraform" };
    find(&plain(name)).map(|_| (provider, built_in))
}

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// All functions, in the order of their names.
pub fn all() -> impl Iterator<Item = &'static Function> {
    TABLE.values()
}

impl Function {
    /// Whether its result depends on files or on the environment, so that a text from anywhere may not call it.
    pub(in crate::eval) fn asks_outside(&self) -> bool {
        self.name.starts_with("file") || self.name == "env"
    }
}
