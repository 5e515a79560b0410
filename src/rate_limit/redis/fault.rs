//! What can be wrong between here and Redis, told without repeating what was sent.

use ::redis::{ErrorKind, RedisError};

use crate::rate_limit::RateLimitError;

/// Why there is no answer.
///
/// A server may quote a key in its message, and a client an address with its password. So none of their text is kept: of the
/// server its error code, of the client what kind of thing happened.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("authentication failed")]
    Authentication,
    #[error("connection was lost")]
    Lost,
    #[error("not connected yet")]
    NotConnected,
    #[error("answer is not what the script returns")]
    Nonsense,
    #[error("connection refused")]
    Refused,
    #[error("server answered {code}")]
    Server { code: Box<str> },
    #[error("no answer in time")]
    Timeout,
    #[error("too many calls are waiting for an answer")]
    TooManyWaiting,
}

impl Fault {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Authentication,
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Server {
                code: code(error).into(),
            },
            ErrorKind::UnexpectedReturnType => Self::Nonsense,
            _ if error.is_timeout() => Self::Timeout,
            _ if error.is_connection_refusal() => Self::Refused,
            _ => Self::Lost,
        }
    }

    /// Tells whether the script is merely unknown to the server, so that nothing has run.
    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Server { code } if **code == *"NOSCRIPT")
    }

    /// Tells whether the server answers, but not to this account.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Server { code } if **code == *"NOPERM")
    }

    /// Tells whether another connection may do better: this one is gone, or leads to a server that has been demoted.
    pub(super) fn ends_the_link(&self) -> bool {
        match self {
            Self::Authentication | Self::Lost | Self::Refused => true,
            Self::Server { code } => matches!(&**code, "READONLY" | "NOAUTH" | "MASTERDOWN"),
            Self::NotConnected | Self::Nonsense | Self::Timeout | Self::TooManyWaiting => false,
        }
    }
}

impl From<Fault> for RateLimitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Nonsense => Self::MalformedAnswer,
            Fault::Server { .. } => Self::backend(fault),
            Fault::Timeout => Self::Timeout,
            Fault::Authentication
            | Fault::Lost
            | Fault::NotConnected
            | Fault::Refused
            | Fault::TooManyWaiting => Self::unavailable(fault),
        }
    }
}

/// The first word of the server's message, if it looks like one of Redis' codes.
fn code(error: &RedisError) -> &str {
    let code = error.code().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if (1..=32).contains(&code.len()) && code.bytes().all(plain) {
        return code;
    }
    "an error"
}

#[cfg(test)]
mod tests {
    use ::redis::ServerErrorKind;

    use super::*;

    fn general(kind: ErrorKind, detail: &str) -> Fault {
        Fault::of(&(kind, "said the client", detail.to_owned()).into())
    }

    #[test]
    fn keeps_nothing_of_what_it_was_told() {
        let kinds = [
            ErrorKind::AuthenticationFailed,
            ErrorKind::Server(ServerErrorKind::ResponseError),
            ErrorKind::Extension,
            ErrorKind::UnexpectedReturnType,
            ErrorKind::InvalidClientConfig,
            ErrorKind::Io,
            ErrorKind::Parse,
        ];
        for kind in kinds {
            let error = RateLimitError::from(general(kind, "keyward:{key:3Fq9xT0bLm2A}:minute"));
            assert!(!format!("{error:?} {error}").contains("3Fq9x"), "{kind:?}");
            assert!(error.is_outage(), "{kind:?}");
        }
    }

    #[test]
    fn a_server_that_may_not_write_is_left_and_a_busy_one_is_not() {
        let ends = |kind| general(ErrorKind::Server(kind), "").ends_the_link();
        assert!(ends(ServerErrorKind::ReadOnly) && ends(ServerErrorKind::MasterDown));
        assert!(!ends(ServerErrorKind::BusyLoading) && !ends(ServerErrorKind::NoScript));
    }

    #[test]
    fn only_an_unknown_script_may_be_sent_again() {
        let unknown = |kind| general(kind, "").is_unknown_script();
        assert!(unknown(ErrorKind::Server(ServerErrorKind::NoScript)));
        assert!(!unknown(ErrorKind::Server(ServerErrorKind::ResponseError)));
        assert!(!unknown(ErrorKind::Io));
    }
}
