//! What a person names when records are moved or dropped: an instance, all instances of a block, a module.

use std::fmt;
use std::str::FromStr;

use super::{Address, AddressError, Key, ModulePath, ModuleStep, segments};

/// One or many addresses by one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// An instance, or, without a key, a block.
    Node(Address),
    /// Everything in a module's instance, or, where its last name has no key, in all its instances.
    Module(ModulePath),
}

impl Selection {
    /// Whether an address is meant.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Node(node) => node.covers(address),
            Self::Module(module) => rest(module, &address.module).is_some(),
        }
    }

    /// The address that an address which is meant by `self` has when `self` becomes `to`; `None` if they do not go together.
    ///
    /// Keys that `self` does not name stay, as `terraform state mv` keeps them.
    #[must_use]
    pub fn moved(&self, to: &Self, address: &Address) -> Option<Address> {
        match (self, to) {
            (Self::Node(from), Self::Node(to)) if from.covers(address) => {
                let key = if from.key == address.key { to.key.clone() } else { address.key.clone() };
                (from.key == address.key || to.key.is_none()).then(|| to.with_key(key))
            }
            (Self::Module(from), Self::Module(to)) => {
                let (key, below) = rest(from, &address.module)?;
                let mut steps = to.0.to_vec();
                match (steps.last_mut(), key) {
                    (Some(last), Some(_)) if last.key.is_some() => return None,
                    (Some(last), Some(key)) => last.key = Some(key.clone()),
                    (None, Some(_)) => return None,
                    (_, None) => {}
                }
                steps.extend(below.iter().cloned());
                Some(Address { module: ModulePath(steps.into()), ..address.clone() })
            }
            _ => None,
        }
    }
}

/// What a path has beyond `module`: the key that `module` leaves open, and the steps below.
fn rest<'p>(module: &ModulePath, path: &'p ModulePath) -> Option<(Option<&'p Key>, &'p [ModuleStep])> {
    let (last, parents) = module.0.split_last()?;
    let (here, below) = path.0.split_at_checked(parents.len() + 1)?;
    let own = here.last()?;
    if !here.starts_with(parents) || own.name != last.name {
        return None;
    }
    match (&last.key, &own.key) {
        (None, open) => Some((open.as_ref(), below)),
        (Some(key), Some(own)) if key == own => Some((None, below)),
        _ => None,
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(address) => address.fmt(f),
            Self::Module(module) => module.fmt(f),
        }
    }
}

impl FromStr for Selection {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { text: text.to_owned(), why };
        let parts = segments(text).map_err(fail)?;
        let is_module = parts.len() % 2 == 0 && parts.chunks(2).all(|pair| &*pair[0].0 == "module");
        if !is_module {
            return text.parse().map(Self::Node);
        }
        let mut module = ModulePath::root();
        for pair in parts.chunks(2) {
            if pair[0].1.is_some() {
                return Err(fail("\"module\" takes a name before a key"));
            }
            module = module.child(pair[1].0.clone(), pair[1].1.clone());
        }
        Ok(Self::Module(module))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where an address goes, as text.
    fn moved(from: &str, to: &str, address: &str) -> Option<String> {
        let (from, to): (Selection, Selection) = (from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(from.to_string().parse::<Selection>().unwrap(), from);
        from.moved(&to, &address.parse().unwrap()).map(|a| a.to_string())
    }

    #[test]
    fn moves_keep_the_keys_that_they_do_not_name() {
        for (from, to, address, gives) in [
            ("a.x", "a.y", "a.x", Some("a.y")),
            ("a.x", "a.y", "a.x[1]", Some("a.y[1]")),
            ("a.x[1]", "a.y", "a.x[1]", Some("a.y")),
            ("a.x", "a.y[\"k\"]", "a.x", Some("a.y[\"k\"]")),
            ("a.x", "a.y[0]", "a.x[1]", None),
            ("a.x", "module.m.a.x", "a.x", Some("module.m.a.x")),
            ("module.m", "module.n", "module.m.a.x", Some("module.n.a.x")),
            ("module.m", "module.n", "module.m[0].module.i.a.x[2]", Some("module.n[0].module.i.a.x[2]")),
            ("module.m[0]", "module.n", "module.m[0].a.x", Some("module.n.a.x")),
            ("module.m", "module.n[0]", "module.m.a.x", Some("module.n[0].a.x")),
            ("module.m", "module.n[0]", "module.m[1].a.x", None),
            ("module.m", "module.n.module.o", "module.m.a.x", Some("module.n.module.o.a.x")),
            ("module.m[0]", "module.n", "module.m[1].a.x", None),
            ("module.m", "module.n", "a.x", None),
            ("module.m", "a.y", "module.m.a.x", None),
        ] {
            assert_eq!(moved(from, to, address).as_deref(), gives, "{address} from {from} to {to}");
        }
    }

    #[test]
    fn a_selection_covers_what_it_names() {
        let covers = |text: &str, address: &str| text.parse::<Selection>().unwrap().covers(&address.parse().unwrap());
        assert!(
            covers("a.x", "a.x[1]")
                && covers("module.m", "module.m[0].a.x")
                && covers("module.m[0]", "module.m[0].a.x")
        );
        assert!(
            !covers("a.x[1]", "a.x") && !covers("module.m[0]", "module.m.a.x") && !covers("module.m", "module.mm.a.x")
        );
    }
}
