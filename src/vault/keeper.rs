//! The task that renews a client's token.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::client::{Inner, VaultClient};

/// Leases are given in whole seconds; one of a second must not make the task spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// Starts it. It holds the client only while it renews, and ends with it.
pub(super) fn start(client: &VaultClient) {
    let task = tokio::spawn(keep(Arc::downgrade(&client.inner)));
    client.inner.kept_by(task.abort_handle());
}

async fn keep(client: Weak<Inner>) {
    loop {
        let due = client.upgrade().and_then(|it| it.session().renewal_in());
        let Some(wait) = due else { return };
        tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
        let Some(client) = client.upgrade() else {
            return;
        };
        // A log-in meanwhile has brought another token.
        let due = client.session().renewal_in();
        if due.is_some_and(|wait| wait.is_zero()) && !client.renew().await {
            return;
        }
    }
}
