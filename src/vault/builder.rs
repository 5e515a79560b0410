use std::fmt;
use std::time::Duration;

use reqwest::Url;
use zeroize::Zeroizing;

use super::client::Transport;
use super::session::{Credentials, Session, is_header};
use super::{VaultClient, VaultError, keeper, place};
use crate::outbound::{self, NoClient, is_this_machine};

/// Long enough for a Vault that elects a new leader to be asked again by the next request, short enough that a request
/// does not hang on it.
const DEADLINE: Duration = Duration::from_secs(5);

/// The settings of a [`VaultClient`].
///
/// ```no_run
/// use std::time::Duration;
/// use keyward::vault::VaultClient;
///
/// # async fn connect(token: String, ca: Vec<u8>) -> Result<(), keyward::vault::VaultError> {
/// let vault = VaultClient::builder("https://vault.internal:8200")
///     .token(token)
///     .namespace("team-a")
///     .root_certificates(ca)
///     .deadline(Duration::from_secs(2))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct VaultClientBuilder {
    address: String,
    credentials: Option<Credentials>,
    app_role_mount: String,
    namespace: Option<String>,
    root_certificates: Option<Vec<u8>>,
    deadline: Duration,
    plain_http: bool,
}

/// Settings of a [`VaultClientBuilder`] that weaken the client.
///
/// ```no_run
/// use keyward::vault::VaultClient;
///
/// # async fn connect(token: String) -> Result<(), keyward::vault::VaultError> {
/// // In a cluster whose network encrypts every connection.
/// let vault = VaultClient::builder("http://vault:8200").token(token).dangerous().plain_http().connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct DangerousVaultClientBuilder {
    builder: VaultClientBuilder,
}

impl DangerousVaultClientBuilder {
    /// Takes `http://` to another machine. Whoever listens in between has the token, and all that it may read: for
    /// networks that encrypt by themselves.
    pub fn plain_http(mut self) -> VaultClientBuilder {
        self.builder.plain_http = true;
        self.builder
    }
}

impl VaultClientBuilder {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            credentials: None,
            app_role_mount: "approle".to_owned(),
            namespace: None,
            root_certificates: None,
            deadline: DEADLINE,
            plain_http: false,
        }
    }

    /// Uses this token. It is renewed if it can be; once it has expired nothing brings it back, so prefer
    /// [`app_role`](Self::app_role).
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::Token(Zeroizing::new(token.into())));
        self
    }

    /// Logs in with a role id and a secret id, and again whenever the token ends.
    pub fn app_role(mut self, role_id: impl Into<String>, secret_id: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::AppRole {
            mount: String::new(),
            role_id: Zeroizing::new(role_id.into()),
            secret_id: Zeroizing::new(secret_id.into()),
        });
        self
    }

    /// Sets where the AppRole method is mounted; `approle` otherwise.
    pub fn app_role_mount(mut self, mount: impl Into<String>) -> Self {
        self.app_role_mount = mount.into();
        self
    }

    /// Sets the namespace; none otherwise.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Trusts these certificates, in PEM, and no others: for a Vault whose certificate comes from an authority of your
    /// own. The system's are trusted otherwise.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets how long one call may take, a log-in that it needs included; 5 s otherwise.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the settings that weaken the client.
    pub fn dangerous(self) -> DangerousVaultClientBuilder {
        DangerousVaultClientBuilder { builder: self }
    }

    /// Checks the settings, logs in, and starts the task that renews the token on the present tokio runtime.
    ///
    /// Redirects are not followed and proxies named in the environment are not used: the token goes to this address
    /// and nowhere else.
    ///
    /// # Errors
    ///
    /// * [`VaultError::Address`], [`VaultError::Setting`], [`VaultError::Certificates`] for a setting that cannot be used;
    /// * [`VaultError::PlainHttp`] for `http://` to another machine;
    /// * [`VaultError::NoCryptoProvider`] when the process has installed none; [`VaultError::NoRuntime`] outside tokio;
    /// * [`VaultError::Login`] or [`VaultError::Denied`] when Vault refuses the credentials; otherwise an outage.
    pub async fn connect(self) -> Result<VaultClient, VaultError> {
        let (transport, credentials) = self.checked()?;
        let opened = Session::open(&transport, &credentials, 1);
        let session = transport.within(opened).await?;
        let client = VaultClient::new(transport, credentials, session);
        keeper::start(&client);
        Ok(client)
    }

    fn checked(self) -> Result<(Transport, Credentials), VaultError> {
        let base = address(&self.address)?;
        if base.scheme() == "http" && !self.plain_http && !is_this_machine(&base) {
            return Err(VaultError::PlainHttp);
        }
        let credentials = match self.credentials {
            Some(Credentials::Token(token)) if is_header(&token) => Credentials::Token(token),
            Some(Credentials::Token(_)) => return Err(VaultError::Setting { name: "token" }),
            Some(Credentials::AppRole { role_id, .. }) if role_id.is_empty() => {
                return Err(VaultError::Setting { name: "role_id" });
            }
            Some(Credentials::AppRole { secret_id, .. }) if secret_id.is_empty() => {
                return Err(VaultError::Setting { name: "secret_id" });
            }
            Some(Credentials::AppRole {
                role_id, secret_id, ..
            }) => Credentials::AppRole {
                mount: place::checked("app_role_mount", &self.app_role_mount)?,
                role_id,
                secret_id,
            },
            None => {
                return Err(VaultError::Setting {
                    name: "token or app_role",
                });
            }
        };
        if let Some(namespace) = &self.namespace {
            place::checked("namespace", namespace.trim_end_matches('/'))?;
        }
        if self.deadline.is_zero() {
            return Err(VaultError::Setting { name: "deadline" });
        }
        let http = outbound::client(&base, self.root_certificates.as_deref());
        let http = http.map_err(|error| match error {
            NoClient::CryptoProvider => VaultError::NoCryptoProvider,
            NoClient::Certificates => VaultError::Certificates,
        })?;
        let transport = Transport {
            http: rustify::Client::new(base.as_str(), http),
            namespace: self.namespace,
            deadline: self.deadline,
        };
        Ok((transport, credentials))
    }
}

/// vaultrs puts the API's version before the path, so there must be none; and a name or password in an address would
/// show up wherever the address does.
fn address(text: &str) -> Result<Url, VaultError> {
    let url = Url::parse(text).map_err(|_| VaultError::Address)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url).ok_or(VaultError::Address)
}

impl fmt::Debug for VaultClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultClientBuilder")
            .field("credentials", &self.credentials)
            .field("namespace", &self.namespace)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
