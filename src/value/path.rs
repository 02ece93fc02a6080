//! Ways into a value.

use std::fmt;
use std::sync::Arc;

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// An object's attribute.
    Attribute(Arc<str>),
    /// A map's element.
    Key(Arc<str>),
    /// A list's or tuple's element.
    Index(usize),
    /// Some element of a set.
    Element,
}

/// A way into a value, empty for the value itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<PathStep>);

impl Path {
    /// The way of one attribute.
    #[must_use]
    pub fn attribute(name: impl Into<Arc<str>>) -> Self {
        Self(vec![PathStep::Attribute(name.into())])
    }

    /// This way and one step more.
    #[must_use]
    pub fn then(&self, step: PathStep) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The attribute that it starts with.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        match self.0.first() {
            Some(PathStep::Attribute(name) | PathStep::Key(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Attribute(name) if i == 0 => f.write_str(name)?,
                PathStep::Attribute(name) => write!(f, ".{name}")?,
                PathStep::Key(name) => write!(f, "[{name:?}]")?,
                PathStep::Index(n) => write!(f, "[{n}]")?,
                PathStep::Element => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}
