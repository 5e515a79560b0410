//! HTTP clients that go where they were sent, and nowhere else.

use std::net::IpAddr;

use reqwest::{Certificate, Client, Url, redirect};
use rustls::crypto::CryptoProvider;

/// Why there is no client.
pub(crate) enum NoClient {
    /// The process has installed no TLS.
    CryptoProvider,
    /// The root certificates cannot be used.
    Certificates,
}

/// Returns a client for this address. It follows no redirect, uses no proxy that the environment names, and trusts these
/// certificates (in PEM) and no others, or the system's.
pub(crate) fn client(base: &Url, roots: Option<&[u8]>) -> Result<Client, NoClient> {
    // reqwest would panic, over http:// as well.
    if CryptoProvider::get_default().is_none() {
        return Err(NoClient::CryptoProvider);
    }
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy();
    let certificates = roots.map(Certificate::from_pem_bundle);
    let certificates = certificates
        .transpose()
        .map_err(|_| NoClient::Certificates)?;
    let client = match certificates {
        Some(none) if none.is_empty() => return Err(NoClient::Certificates),
        // Loading the system's certificates fails where there are none, and plain HTTP needs none.
        _ if base.scheme() == "http" => client.tls_certs_only([]),
        Some(certificates) => client.tls_certs_only(certificates),
        None => client,
    };
    client.build().map_err(|_| NoClient::Certificates)
}

/// A development server, or an agent that does the rest.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}
