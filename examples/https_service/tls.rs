//! Listeners that say of each request how it travelled and which certificate its connection has shown.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward::http::{ConnectionInfo, Scheme};
use keyward::key::Thumbprint;
use rustls::RootCertStore;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::authority::{Authority, Identity};

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// Asks every client for a certificate of that authority, and lets those in that have none. One of another authority, or
/// one that is out of date, ends the handshake.
pub(crate) fn config(
    authority: &Authority,
    server: &Identity,
) -> Result<ServerConfig, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![server.certificate().clone()], server.key()?)?;
    // SECURITY: a resumed session brings back the certificate of its first connection, which nobody checks again: it may
    // have run out since, or been exchanged for another. Without sessions each connection shows its own.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Serves encrypted connections.
pub(crate) async fn serve(listener: TcpListener, config: ServerConfig, app: Router) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, peer) = accept(&listener).await;
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(HELLO, acceptor.accept(stream)).await else {
                return;
            };
            let info = ConnectionInfo::new(peer, Scheme::Https);
            let shown = stream.get_ref().1.peer_certificates();
            let info = match shown.and_then(<[_]>::first) {
                Some(certificate) => info.with_certificate(Thumbprint::of_certificate(certificate)),
                None => info,
            };
            answer(stream, info, app).await;
        });
    }
}

/// Serves connections in clear. The layers of the app know what to do with those.
pub(crate) async fn serve_plain(listener: TcpListener, app: Router) {
    loop {
        let (stream, peer) = accept(&listener).await;
        tokio::spawn(answer(
            stream,
            ConnectionInfo::new(peer, Scheme::Http),
            app.clone(),
        ));
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Out of file handles, most likely: some connections have to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer<S>(stream: S, info: ConnectionInfo, app: Router)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info);
        let answer = app.clone().oneshot(request);
        async {
            Ok::<Response<Body>, Infallible>(answer.await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HELLO)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is its own affair.
    drop(connection.await);
}
