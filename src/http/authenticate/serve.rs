//! What becomes of one request.

use std::future::Future;

use ::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, WWW_AUTHENTICATE};
use ::http::request::Parts;
use ::http::{HeaderMap, Method, Response, StatusCode};

use super::super::credential::{self, Presented};
use super::super::exchange::{End, Exchange};
use super::super::exposure::{self, Noticed};
use super::super::gate::Gate;
use super::super::sunset::Sunset;
use super::super::{ClientCertError, Problem, headers};
use super::{Completion, Preflight, Settings};
use crate::service::VerifyError;

impl Settings {
    pub(super) async fn serve<R, E, F>(
        &self,
        mut parts: Parts,
        call: impl FnOnce(Parts) -> F + Send,
    ) -> Result<Response<R>, E>
    where
        R: From<String> + Send,
        F: Future<Output = Result<Response<R>, E>> + Send,
    {
        if let Some(outer) = self.outer_exchange(&parts) {
            return match self.enter(&outer, &mut parts).await {
                Ok(()) => call(parts).await,
                Err(problem) => Ok(problem.into_http()),
            };
        }
        let exchange = Exchange::begin(&self.service, &parts);
        let unfinished = Unfinished::new(self, &exchange);
        parts.extensions.insert(exchange.clone());
        let response = match self.admit(&exchange, &mut parts).await {
            Ok(()) => {
                let response = call(parts).await?;
                self.check_settled(&exchange, response).await
            }
            Err(problem) => problem.into_http(),
        };
        Ok(self.finish(unfinished, response).await)
    }

    /// The layer may stand twice around a route: the second time there is nothing left to verify.
    fn outer_exchange(&self, parts: &Parts) -> Option<Exchange> {
        Exchange::of(&parts.extensions)
            .filter(|outer| outer.service().is_same(&self.service))
            .cloned()
    }

    async fn admit(&self, exchange: &Exchange, parts: &mut Parts) -> Result<(), Problem> {
        let presented = credential::take(&mut parts.headers, &parts.uri, self.service.format());
        if self.preflight == Preflight::Passed && is_preflight(&parts.method, &parts.headers) {
            exchange.progress(|progress| progress.is_preflight = true);
            return Ok(());
        }
        self.verify(exchange, presented).await?;
        self.enter(exchange, parts).await
    }

    async fn enter(&self, exchange: &Exchange, parts: &mut Parts) -> Result<(), Problem> {
        let is_preflight = exchange.progress(|progress| progress.is_preflight);
        match &self.gate {
            Some(gate) if !is_preflight => gate.pass(exchange, parts).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn verify(&self, exchange: &Exchange, presented: Presented) -> Result<(), Problem> {
        let noticed = self.notice(exchange, &presented);
        if let Some(fault) = exchange.origin().certificate_fault() {
            let refused = refuse_certificate(exchange, fault).await;
            return Err(noticed.told_in(refused).await);
        }
        let credential = match presented {
            Presented::One(credential) => credential,
            Presented::Missing => {
                return Err(self.refuse(exchange, "missing_credential").await);
            }
            Presented::Ambiguous => {
                exchange.refuse_credential("ambiguous_credential").await;
                return Err(self.refuse(exchange, "ambiguous_credential").await);
            }
            Presented::InUrl(_) => {
                let refused = self.refuse(exchange, "key_in_url").await;
                return Err(noticed.told_in(refused).await);
            }
        };
        let context = exchange.origin().context();
        match self.service.verify(credential.as_bytes(), &context).await {
            Ok(key) => {
                exchange.progress(|progress| {
                    progress.sunset = key.retirement().map(Sunset::coming);
                    progress.key = Some(key);
                });
                Ok(())
            }
            Err(error) => {
                exchange.stand_of_address().await;
                exchange.progress(|progress| {
                    progress.sunset = Sunset::past(&error);
                    progress.refused = Some(code(&error));
                });
                Err(self.challenged(Problem::from(&error)))
            }
        }
    }

    fn notice(&self, exchange: &Exchange, presented: &Presented) -> Noticed {
        let Presented::InUrl(key) = presented else {
            return Noticed::default();
        };
        let key = std::slice::from_ref(key);
        exposure::report(&self.service, key, "key_in_url", exchange.origin())
    }

    async fn refuse(&self, exchange: &Exchange, code: &'static str) -> Problem {
        exchange.stand_of_address().await;
        exchange.progress(|progress| progress.refused = Some(code));
        self.challenged(Problem::unauthenticated())
    }

    fn challenged(&self, problem: Problem) -> Problem {
        if problem.status() == StatusCode::UNAUTHORIZED {
            return problem.with_header(WWW_AUTHENTICATE, self.challenge.clone());
        }
        problem
    }

    /// A request that no gate has seen is charged late, and is no success.
    async fn check_settled<R: From<String> + Send>(
        &self,
        exchange: &Exchange,
        response: Response<R>,
    ) -> Response<R> {
        let (is_settled, is_preflight) =
            exchange.progress(|progress| (progress.charged.is_some(), progress.is_preflight));
        let was_refused = exchange.progress(|progress| progress.refused.is_some());
        if is_settled || is_preflight || was_refused {
            return response;
        }
        if let Err(problem) = Gate::any_key().charge_late(exchange).await {
            return problem.into_http();
        }
        if response.status().is_client_error() || response.status().is_server_error() {
            return response;
        }
        exchange.progress(|progress| progress.refused = Some("route_not_protected"));
        Problem::unprotected().into_http()
    }

    async fn finish<R: Send>(
        &self,
        mut unfinished: Unfinished<'_>,
        mut response: Response<R>,
    ) -> Response<R> {
        unfinished.exchange.progress(|progress| {
            if let Some(limits) = &progress.limits {
                headers::write(self.headers, limits, response.headers_mut());
            }
            if let Some(sunset) = progress.sunset {
                sunset.write(self.rotation_page.as_ref(), response.headers_mut());
            }
        });
        if unfinished.armed {
            unfinished.armed = false;
            let event = unfinished
                .exchange
                .completed(End::Status(response.status()));
            self.service.recorder().enqueue_or_wait(event).await;
        }
        response
    }
}

/// Whoever sends a certificate that is not to be believed is not looked at any further.
async fn refuse_certificate(exchange: &Exchange, fault: ClientCertError) -> Problem {
    exchange.refuse_credential(fault.code()).await;
    exchange.stand_of_address().await;
    exchange.progress(|progress| progress.refused = Some(fault.code()));
    Problem::client_cert_refused()
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

const fn code(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::Rejected(rejection) => rejection.code(),
        VerifyError::Overloaded { .. } => "overloaded",
        VerifyError::Unavailable(_) => "unavailable",
    }
}

/// Writes the end of a request down if it never gets one: the client went away, or the handler panicked.
struct Unfinished<'a> {
    exchange: &'a Exchange,
    armed: bool,
}

impl<'a> Unfinished<'a> {
    fn new(settings: &Settings, exchange: &'a Exchange) -> Self {
        Self {
            exchange,
            armed: settings.completion == Completion::Audited,
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let reason = if std::thread::panicking() {
            "panicked"
        } else {
            "abandoned"
        };
        let event = self.exchange.completed(End::None(reason));
        self.exchange.service().recorder().enqueue(event);
    }
}
