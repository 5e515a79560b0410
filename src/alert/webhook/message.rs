use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::{Client, RequestBuilder, Url};
use serde::Serialize;

use super::{WebhookError, WebhookSecret};
use crate::alert::{Alert, wire};
use crate::audit::write_json;
use crate::time::Timestamp;

const NAME: &str = concat!("keyward/", env!("CARGO_PKG_VERSION"));

/// What is posted, the same in every attempt.
pub(super) struct Message {
    id: String,
    body: Vec<u8>,
}

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(serialize_with = "wire::text")]
    timestamp: Timestamp,
    data: &'a Alert,
}

impl Message {
    pub(super) fn of(alert: &Alert) -> Result<Self, WebhookError> {
        let payload = Payload {
            kind: format!("keyward.alert.{}", alert.kind()),
            timestamp: alert.time(),
            data: alert,
        };
        let mut body = Vec::with_capacity(1024);
        write_json(&payload, &mut body).map_err(|_| WebhookError::Setting { name: "alert" })?;
        // INVARIANT: no full stop in it, or id and time could change places with the body.
        let id = alert.id().to_string();
        Ok(Self { id, body })
    }

    /// Returns the request of one attempt. It is signed anew: a receiver believes a signature for a few minutes.
    pub(super) fn request(
        &self,
        client: &Client,
        address: &Url,
        secrets: &[WebhookSecret],
        now: Timestamp,
    ) -> RequestBuilder {
        let seconds = now.as_secs();
        let signatures = secrets.iter();
        let signatures = signatures.map(|it| it.sign(&self.id, seconds, &self.body));
        client
            .post(address.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, NAME)
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", seconds.to_string())
            .header(
                "webhook-signature",
                signatures.collect::<Vec<_>>().join(" "),
            )
            .body(self.body.clone())
    }
}
