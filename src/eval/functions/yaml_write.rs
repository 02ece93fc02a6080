//! t
use super::*;
pub(super) fn encode(_: &Value) -> Result<String, FunctionError> {
    Err(FunctionError::new(""))
}
