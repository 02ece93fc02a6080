//! Addresses and names: how users name the nodes of an environment.
//!
//! `module.shop["eu"].local_service.api[0]`, `data.aws_region.here`, `migration.schema`. An address is immutable, has
//! one string form, and orders by module, kind, type, name and key, so that what is listed by address is stable.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

mod selection;

pub use selection::Selection;

/// The key of an instance: `[0]` of `count`, `["blue"]` of `for_each`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// From `count`.
    Index(u64),
    /// From `for_each`.
    Name(Arc<str>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(n) => write!(f, "[{n}]"),
            Self::Name(s) => {
                f.write_str("[\"")?;
                let mut chars = s.chars().peekable();
                while let Some(c) = chars.next() {
                    match c {
                        // As in the language, where a key like this one is written so as not to begin a template.
                        '$' | '%' if chars.peek() == Some(&'{') => write!(f, "{c}{c}")?,
                        '"' => f.write_str("\\\"")?,
                        '\\' => f.write_str("\\\\")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"]")
            }
        }
    }
}

/// One instance of a module call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleStep {
    /// The name of the `module` block.
    pub name: Arc<str>,
    /// Which instance.
    pub key: Option<Key>,
}

/// The way from the root module to a module instance; empty is the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModulePath(pub Arc<[ModuleStep]>);

impl ModulePath {
    /// The root module.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Whether this is the root module.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The instance of a module called from this one.
    #[must_use]
    pub fn child(&self, name: impl Into<Arc<str>>, key: Option<Key>) -> Self {
        let mut steps = self.0.to_vec();
        steps.push(ModuleStep { name: name.into(), key });
        Self(steps.into())
    }

    /// The calling module's instance and the last step, unless this is the root.
    #[must_use]
    pub fn parent(&self) -> Option<(Self, &ModuleStep)> {
        let (last, rest) = self.0.split_last()?;
        Some((Self(rest.into()), last))
    }

    /// Whether `self` is `other` or called from it at any depth.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "module.{}", step.name)?;
            if let Some(key) = &step.key {
                write!(f, "{key}")?;
            }
        }
        Ok(())
    }
}

/// What kind of node an address names. The order is that of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// `data.TYPE.NAME`
    Data,
    /// `TYPE.NAME`
    Resource,
    /// `artifact.NAME`
    Artifact,
    /// `migration.NAME`
    Migration,
    /// `health_check.NAME`
    HealthCheck,
    /// `smoke_test.NAME`
    SmokeTest,
    /// `check.NAME`
    Check,
}

impl NodeKind {
    /// The word before the name, for kinds that have no type: `artifact`, `migration`, ….
    #[must_use]
    pub fn keyword(self) -> Option<&'static str> {
        match self {
            Self::Data | Self::Resource => None,
            Self::Artifact => Some("artifact"),
            Self::Migration => Some("migration"),
            Self::HealthCheck => Some("health_check"),
            Self::SmokeTest => Some("smoke_test"),
            Self::Check => Some("check"),
        }
    }

    /// The kind that a keyword stands for.
    #[must_use]
    pub fn of_keyword(word: &str) -> Option<Self> {
        [Self::Artifact, Self::Migration, Self::HealthCheck, Self::SmokeTest, Self::Check]
            .into_iter()
            .find(|k| k.keyword() == Some(word))
    }

    /// Whether nodes of this kind only look at others: checks with a probe, and `check` blocks.
    #[must_use]
    pub fn looks_only(self) -> bool {
        self.is_probe() || self == Self::Check
    }

    /// Whether nodes of this kind are checks with a probe.
    #[must_use]
    pub fn is_probe(self) -> bool {
        matches!(self, Self::HealthCheck | Self::SmokeTest)
    }
}

/// The address of a node, of one instance or, where [`Address::key`] is missing, of a block as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The module instance it stands in.
    pub module: ModulePath,
    /// What it is.
    pub kind: NodeKind,
    /// The resource type, for resources and data sources; empty otherwise.
    pub ty: Arc<str>,
    /// The block's name.
    pub name: Arc<str>,
    /// Which instance of `count` or `for_each`.
    pub key: Option<Key>,
}

impl Address {
    /// An address without a key.
    #[must_use]
    pub fn new(module: ModulePath, kind: NodeKind, ty: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { module, kind, ty: ty.into(), name: name.into(), key: None }
    }

    /// The same block's instance `key`.
    #[must_use]
    pub fn with_key(&self, key: Option<Key>) -> Self {
        Self { key, ..self.clone() }
    }

    /// The block as a whole.
    #[must_use]
    pub fn block(&self) -> Self {
        self.with_key(None)
    }

    /// Whether `--target self` takes `other` in: the same instance, or any instance of a block, or anything in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || (self.key.is_none() && *self == other.block())
    }
}

/// As a derived order, but texts that are shared are not looked at: most addresses of a plan share module and type.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        let text = |a: &Arc<str>, b: &Arc<str>| if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
        let shared = Arc::ptr_eq(&self.module.0, &other.module.0);
        let module = if shared { Ordering::Equal } else { self.module.cmp(&other.module) };
        module
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| text(&self.ty, &other.ty))
            .then_with(|| text(&self.name, &other.name))
            .then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        match self.kind.keyword() {
            Some(word) => write!(f, "{word}.{}", self.name)?,
            None if self.kind == NodeKind::Data => write!(f, "data.{}.{}", self.ty, self.name)?,
            None => write!(f, "{}.{}", self.ty, self.name)?,
        }
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "{key}"))
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: {why}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// One `name` or `name[key]` of an address's text.
type Segment = (Arc<str>, Option<Key>);

fn segments(text: &str) -> Result<Vec<Segment>, &'static str> {
    let mut rest = text;
    let mut found = Vec::new();
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if !is_identifier(name) {
            return Err("a part between the dots is not a name");
        }
        rest = &rest[end..];
        let mut key = None;
        if rest.starts_with('[') {
            let (k, after) = bracket(rest)?;
            key = Some(k);
            rest = after;
        }
        found.push((Arc::from(name), key));
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(found),
            None => return Err("there is something behind a closing bracket"),
        }
    }
}

fn bracket(text: &str) -> Result<(Key, &str), &'static str> {
    let inner = &text[1..];
    if let Some(quoted) = inner.strip_prefix('"') {
        let mut name = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let after = quoted[at + 1..].strip_prefix(']').ok_or("a bracket is not closed")?;
                    return Ok((Key::Name(name.into()), after));
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => name.push('\n'),
                    Some('r') => name.push('\r'),
                    Some('t') => name.push('\t'),
                    Some(c) => name.push(c),
                    None => break,
                },
                '$' | '%' if quoted[at + 1..].starts_with(&format!("{c}{{")) => {
                    chars.next();
                    name.push(c);
                }
                c => name.push(c),
            }
        }
        return Err("a quoted key is not closed");
    }
    let end = inner.find(']').ok_or("a bracket is not closed")?;
    let index = inner[..end].parse().map_err(|_| "a key is neither a number nor a quoted name")?;
    Ok((Key::Index(index), &inner[end + 1..]))
}

/// Whether `text` is an identifier of the language: a letter or `_`, then letters, digits, `_` and `-`.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { text: text.to_owned(), why };
        let mut parts = segments(text).map_err(fail)?.into_iter().peekable();
        let mut module = ModulePath::root();
        while parts.peek().is_some_and(|(name, _)| &**name == "module") {
            let (_, key) = parts.next().expect("invariant: peeked");
            if key.is_some() {
                return Err(fail("\"module\" takes a name before a key"));
            }
            let (name, key) = parts.next().ok_or_else(|| fail("a module's name is missing"))?;
            module = module.child(name, key);
        }
        let rest: Vec<Segment> = parts.collect();
        let (kind, ty, (name, key)) = match &rest[..] {
            [(word, None), last] if NodeKind::of_keyword(word).is_some() => {
                (NodeKind::of_keyword(word).expect("invariant: just looked"), Arc::from(""), last.clone())
            }
            [(word, None), (ty, None), last] if &**word == "data" => (NodeKind::Data, ty.clone(), last.clone()),
            [(word, None), _] if &**word == "data" => return Err(fail("a data source needs a type and a name")),
            [(ty, None), last] => (NodeKind::Resource, ty.clone(), last.clone()),
            [] => return Err(fail("it names a module, not a node in it")),
            _ => return Err(fail("it needs the form TYPE.NAME, data.TYPE.NAME or KIND.NAME")),
        };
        Ok(Self { module, kind, ty, name, key })
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "local_file.a",
            "module.shop.local_service.api[\"blue\"]",
            "module.a[0].module.b[\"x.y\"].data.local_command.c[3]",
            "migration.schema",
            "smoke_test.checkout[\"a\\\"b\"]",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "module.x", "a.b.c.d", "a.b[", "a.b[x]", "a.b[\"x]", "a..b", "data.x", "module[0].x.a.b"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_block_covers_its_instances() {
        let block: Address = "local_file.a".parse().unwrap();
        let one: Address = "local_file.a[0]".parse().unwrap();
        assert!(block.covers(&one) && !one.covers(&block));
    }
}
