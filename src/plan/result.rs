//! What a step will answer, as values of the plan.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::addr::Address;
use crate::value::{Deferred, Residual, Results, Type, Unfinished, Value};

/// One attribute of the object that a node's step will answer.
struct ResultAttribute {
    node: Address,
    name: Arc<str>,
}

/// An attribute that is known when the node's step has finished.
pub(super) fn attribute(node: &Address, name: &str, ty: Type) -> Value {
    let deferred = ResultAttribute { node: node.clone(), name: name.into() };
    Value::unknown(ty, Residual::Deferred(Arc::new(deferred)))
}

/// The whole object that is known when the node's step has finished.
pub(super) fn whole(node: &Address, ty: Type) -> Value {
    Value::unknown(ty, Residual::from(node.clone()))
}

impl Deferred for ResultAttribute {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let object = Residual::from(self.node.clone()).finish(results)?;
        let marks = object.marks;
        object.get(&self.name).map(|v| v.clone().mark(marks)).ok_or_else(|| Unfinished {
            summary: "Value not available".into(),
            detail: format!("The result of {} has no attribute \"{}\".", self.node, self.name),
        })
    }

    fn needs(&self, nodes: &mut BTreeSet<Address>) {
        nodes.insert(self.node.clone());
    }

    fn text(&self) -> String {
        format!("{}.{}", self.node, self.name)
    }
}

impl fmt::Debug for ResultAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
