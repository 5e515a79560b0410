use std::net::IpAddr;

use crate::key::Thumbprint;

/// What the application knows of a request besides the key. All of it optional, none of it taken from the key.
///
/// ```
/// use keyward::service::RequestContext;
///
/// let context = RequestContext::new().with_client("192.0.2.7".parse().unwrap()).with_request_id("req-1");
/// assert_eq!(context.request_id(), Some("req-1"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestContext<'a> {
    client: Option<IpAddr>,
    certificate: Option<Thumbprint>,
    request_id: Option<&'a str>,
    user_agent: Option<&'a str>,
}

impl<'a> RequestContext<'a> {
    /// Returns a context of which nothing is known. Keys that are bound to networks or a certificate are then refused.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            client: None,
            certificate: None,
            request_id: None,
            user_agent: None,
        }
    }

    /// Sets the client's address, as the connection or a trusted proxy gave it.
    #[must_use]
    pub const fn with_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the thumbprint of the client certificate that the TLS layer accepted.
    #[must_use]
    pub const fn with_certificate(mut self, certificate: Thumbprint) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Sets the request's id. Cut to 128 bytes in the audit trail.
    #[must_use]
    pub const fn with_request_id(mut self, id: &'a str) -> Self {
        self.request_id = Some(id);
        self
    }

    /// Sets what the client calls itself. Cut to 256 bytes in the audit trail.
    #[must_use]
    pub const fn with_user_agent(mut self, agent: &'a str) -> Self {
        self.user_agent = Some(agent);
        self
    }

    /// Returns the client's address.
    #[must_use]
    pub const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Returns the client certificate's thumbprint.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Thumbprint> {
        self.certificate.as_ref()
    }

    /// Returns the request's id.
    #[must_use]
    pub const fn request_id(&self) -> Option<&'a str> {
        self.request_id
    }

    /// Returns what the client calls itself.
    #[must_use]
    pub const fn user_agent(&self) -> Option<&'a str> {
        self.user_agent
    }
}
