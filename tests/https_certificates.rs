//! Client certificates over real TLS, with the listener of the example: each connection counts for itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod http_support;

#[path = "../examples/https_service/authority.rs"]
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the example uses more of it"
)]
mod authority;
#[path = "../examples/https_service/tls.rs"]
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the example uses more of it"
)]
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use authority::{Authority, Identity, Validity};
use axum::Router;
use axum::routing::get as route;
use http_support::{Held, World};
use keyward::http::{AuthenticateLayer, ClientAddressLayer, ProxyTrust, RequireHttpsLayer};
use rustls::client::ResolvesClientCert;
use rustls::server::{ServerConfig, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// A server, its authority, and a service behind it.
struct Site {
    world: World,
    authority: Authority,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Site {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let world = World::new();
        let authority = Authority::new("the right one").unwrap();
        let identity = authority.server(&["localhost"]).unwrap();
        let mut config = tls::config(&authority, &identity).unwrap();
        change(&mut config);
        let app = Router::new()
            .route("/", route(|| async { "served" }))
            .layer(AuthenticateLayer::new(world.service.clone()).cost(0))
            .layer(RequireHttpsLayer::new(world.service.clone()))
            .layer(ClientAddressLayer::new(
                ProxyTrust::none().with_client_cert(),
            ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            server: tokio::spawn(tls::serve(listener, config, app)),
            world,
            authority,
        }
    }

    async fn bound_to(&self, identity: &Identity) -> Held {
        let thumbprint = identity.thumbprint();
        let bind = |request: keyward::IssueKey| request.with_certificate(thumbprint);
        self.world.key_with(bind).await
    }
}

/// A client that keeps its sessions while it changes certificates: by rights its next connection shows the new one.
struct Client {
    shown: Arc<Wardrobe>,
    connector: TlsConnector,
}

#[derive(Debug, Default)]
struct Wardrobe(Mutex<Option<Arc<CertifiedKey>>>);

impl ResolvesClientCert for Wardrobe {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap().clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Client {
    fn new(site: &Site, version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(site.authority.certificate().clone()).unwrap();
        let shown = Arc::new(Wardrobe::default());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::clone(&shown) as _);
        Self {
            shown,
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    fn wear(&self, identity: Option<&Identity>) {
        let certified = identity.map(|identity| {
            let key = identity.key().unwrap();
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            let chain = vec![identity.certificate().clone()];
            Arc::new(CertifiedKey::new(chain, key))
        });
        *self.shown.0.lock().unwrap() = certified;
    }

    /// Makes a request on a connection of its own. An error is TLS's.
    async fn ask(&self, site: &Site, key: &Held) -> std::io::Result<(u16, HandshakeKind)> {
        let stream = TcpStream::connect(site.address).await?;
        let name = "localhost".try_into().unwrap();
        let mut stream = self.connector.connect(name, stream).await?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
            key.text
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        Ok((status, stream.get_ref().1.handshake_kind().unwrap()))
    }

    async fn status(&self, site: &Site, key: &Held) -> Option<u16> {
        self.ask(site, key).await.ok().map(|(status, _)| status)
    }
}

#[tokio::test]
async fn the_certificate_of_the_connection_decides() {
    let site = Site::start().await;
    let client = |validity| site.authority.client("client", validity).unwrap();
    let right = client(Validity::Now);
    let same_key = site.authority.renewed("client", &right).unwrap();
    let stranger = Authority::new("another one").unwrap();
    let stranger = stranger.client("client", Validity::Now).unwrap();
    let bound = site.bound_to(&right).await;
    // Even if somebody bound a key to a certificate that TLS refuses.
    let expired = client(Validity::Over);
    let (of_expired, of_stranger) = (
        site.bound_to(&expired).await,
        site.bound_to(&stranger).await,
    );
    let free = site.world.key().await;
    for version in VERSIONS {
        for (identity, key, status) in [
            (Some(&right), &bound, Some(200)),
            (Some(&right), &free, Some(200)),
            (None, &free, Some(200)),
            (None, &bound, Some(401)),
            (Some(&same_key), &bound, Some(401)),
            (Some(&client(Validity::Now)), &bound, Some(401)),
            (Some(&expired), &of_expired, None),
            (Some(&stranger), &of_stranger, None),
            (Some(&stranger), &free, None),
        ] {
            let client = Client::new(&site, version);
            client.wear(identity);
            assert_eq!(client.status(&site, key).await, status, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_changes_its_certificate_is_known_by_the_new_one() {
    let site = Site::start().await;
    let client = |name| site.authority.client(name, Validity::Now).unwrap();
    let (one, two) = (client("one"), client("two"));
    let (of_one, of_two) = (site.bound_to(&one).await, site.bound_to(&two).await);
    for version in VERSIONS {
        let client = Client::new(&site, version);
        for (worn, ones, twos) in [
            (Some(&one), 200, 401),
            (Some(&two), 401, 200),
            (None, 401, 401),
            (Some(&one), 200, 401),
        ] {
            client.wear(worn);
            for (key, status) in [(&of_one, ones), (&of_two, twos)] {
                let (found, handshake) = client.ask(&site, key).await.unwrap();
                assert_eq!(found, status, "{version:?}");
                assert_ne!(handshake, HandshakeKind::Resumed, "{version:?}");
            }
        }
    }
}

/// What the listener forbids, and the test above would find: the session brings the old certificate back.
#[tokio::test]
async fn a_server_that_resumes_sessions_takes_the_old_certificate_for_the_new_one() {
    let site = Site::start_with(|config| {
        config.session_storage = ServerSessionMemoryCache::new(64);
        config.send_tls13_tickets = 2;
    });
    let site = site.await;
    let client = |name| site.authority.client(name, Validity::Now).unwrap();
    let (one, two) = (client("one"), client("two"));
    let (of_one, of_two) = (site.bound_to(&one).await, site.bound_to(&two).await);
    for version in VERSIONS {
        let client = Client::new(&site, version);
        client.wear(Some(&one));
        assert_eq!(client.status(&site, &of_one).await, Some(200));
        client.wear(Some(&two));
        let (status, handshake) = client.ask(&site, &of_two).await.unwrap();
        assert_eq!((status, handshake), (401, HandshakeKind::Resumed));
    }
}
