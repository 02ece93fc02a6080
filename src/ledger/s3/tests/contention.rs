//! Writers that go for the same position at the same moment, many times (`ledger/contention.rs`).

use super::*;
use crate::ledger::contention::{self, Refused};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_a_strict_store() {
    let server = Server::start().await;
    contention::report("strict store", places(&server.endpoint, PART), Refused::IsNotThere).await;
}
