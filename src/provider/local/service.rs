//! `local_service`.
use super::words::{duration_fault, parse_duration};
use std::time::Duration;
use crate::provider::*;
use crate::value::{Type, Value};
use serde_json::Value as Json;
pub(super) const TYPE: &str = "local_service";
pub(super) fn compute(_: &ProposedChange<'_>) -> Vec<(&'static str, Value)> { Vec::new() }
pub(super) fn deadline(_: &Value) -> Duration { Duration::from_secs(1) }
pub(super) fn validate(_: &Value) -> Vec<(&'static str, String)> { Vec::new() }
pub(super) async fn observe(_: &Context, _: &Prior) -> Observation { Observation::Absent }
pub(super) async fn act(_: &Context, _: &Act, _: &dyn Progress) -> Outcome { super::unsupported("", Action::Create) }
pub(super) async fn find(_: &Context, _: &Act) -> Found { Found::NotDone }
pub(super) async fn evidence(_: &Context, _: &Json) -> Vec<Evidence> { Vec::new() }
