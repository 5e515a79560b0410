use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::request::Request;
use super::{VaultClient, VaultError, place};
use crate::hash::mac::{self, Mac};
use crate::hash::{DigestText, HashError, HashInput, KeyHasher, Plan, encoding};
use crate::random::SecureRandom;

/// A keyed digest that Vault computes: HMAC-SHA-256 under a key of its transit engine, which never leaves Vault.
///
/// The text is `$vault-transit$v=3$` and 43 characters of base64, where 3 is the version of the transit key. Vault is
/// sent a hash of key id and secret, never the secret. Rotating the key in Vault makes it the one for new digests; older
/// ones are verified under their own version and upgraded on their next success.
///
/// It is a [`Plan::Slow`] scheme, so a service asks it on the threads of its [`HashPool`](crate::hash::HashPool) and, once
/// a secret is proven, not again in that process. Those threads wait for Vault instead of computing, so give the pool
/// more of them than there are cores. A Vault that is sealed or gone makes keys that this process has not proven yet
/// wait for better times (an outage, never "invalid key").
///
/// ```no_run
/// use keyward::hash::Hashing;
/// use keyward::vault::{TransitDigest, VaultClient};
///
/// # async fn hashing(vault: VaultClient) -> Result<Hashing, Box<dyn std::error::Error>> {
/// let digest = TransitDigest::connect(&vault, "transit", "keyward").await?;
/// Ok(Hashing::builder().prefer(digest).build()?)
/// # }
/// ```
///
/// # Blocking
///
/// Digesting and verifying block their thread for at most a second more than the client's deadline. On an async worker
/// they would hold up its other tasks, and on a runtime with one thread Vault's answer too; they then end in an error.
#[derive(Clone)]
pub struct TransitDigest {
    inner: Arc<Inner>,
}

struct Inner {
    client: VaultClient,
    path: String,
    runtime: Handle,
    newest: AtomicU32,
}

const PREFIX: &str = "$vault-transit$";

/// The client's own deadline comes first; this one is for a runtime that does not run.
const SLACK: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Hmac {
    algorithm: &'static str,
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
}

#[derive(Deserialize)]
struct Tagged {
    hmac: String,
}

impl TransitDigest {
    /// Returns the scheme over the key `key` of the transit engine at `mount`, after asking for one digest to learn the
    /// key's newest version. Its requests run on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// [`VaultError::Setting`] for a mount or key name that cannot be used, and whatever Vault answers.
    pub async fn connect(client: &VaultClient, mount: &str, key: &str) -> Result<Self, VaultError> {
        let mount = place::checked("mount", mount)?;
        let key = place::checked("key", key)?;
        let path = format!("{mount}/hmac/{key}");
        let runtime = Handle::try_current().map_err(|_| VaultError::NoRuntime)?;
        let (newest, _) = ask(client, &path, fingerprint("", b""), None).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                client: client.clone(),
                path,
                runtime,
                newest: AtomicU32::new(newest),
            }),
        })
    }

    /// Returns the newest version of the key that Vault has answered with.
    #[must_use]
    pub fn newest_version(&self) -> u32 {
        self.inner.newest.load(Ordering::Relaxed)
    }

    /// Has the runtime ask, and waits.
    ///
    /// Not `Handle::block_on`: that panics when the runtime has been shut down. Here the task, and with it the sender,
    /// is dropped.
    fn mac(
        &self,
        input: HashInput<'_>,
        version: Option<u32>,
    ) -> Result<(u32, [u8; 32]), VaultError> {
        let hashed = fingerprint(input.key_id(), input.secret());
        let (answer, waiting) = mpsc::sync_channel(1);
        let inner = Arc::clone(&self.inner);
        self.inner.runtime.spawn(async move {
            let asked = ask(&inner.client, &inner.path, hashed, version).await;
            let _ = answer.send(asked);
        });
        let deadline = self.inner.client.deadline();
        let (version, mac) = match waiting.recv_timeout(deadline.saturating_add(SLACK)) {
            Ok(answer) => answer?,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(VaultError::Deadline { deadline }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let source = "the runtime has been shut down".into();
                return Err(VaultError::Unreachable { source });
            }
        };
        self.inner.newest.fetch_max(version, Ordering::Relaxed);
        Ok((version, mac))
    }
}

async fn ask(
    client: &VaultClient,
    path: &str,
    input: [u8; 32],
    key_version: Option<u32>,
) -> Result<(u32, [u8; 32]), VaultError> {
    let body = Hmac {
        algorithm: "sha2-256",
        input: STANDARD.encode(input),
        key_version,
    };
    let request = Request::post(path, &body)?;
    let tagged: Tagged = client.ask(&request).await?;
    untagged(&tagged.hmac).ok_or(VaultError::Answer {
        what: "it is no HMAC",
    })
}

/// What stands for a key's id and secret: framed, so that no byte can move from one to the other, and one-way. The label
/// keeps it apart from anything else that is hashed under the same transit key.
fn fingerprint(key_id: &str, secret: &[u8]) -> [u8; 32] {
    Mac::new(b"keyward/1/vault-transit").over([key_id.as_bytes(), secret])
}

/// Reads `vault:v3:` and padded base64.
fn untagged(text: &str) -> Option<(u32, [u8; 32])> {
    let (version, mac) = text.strip_prefix("vault:v")?.split_once(':')?;
    let mac = mac.strip_suffix('=')?;
    Some((encoding::positive(version)?, encoding::from_base64(mac)?))
}

fn read(text: &str) -> Result<(u32, [u8; 32]), HashError> {
    let rest = text
        .strip_prefix(PREFIX)
        .ok_or(HashError::UnknownScheme)?
        .strip_prefix("v=")
        .ok_or(HashError::Malformed)?;
    let (version, digest) = encoding::versioned(rest).ok_or(HashError::Malformed)?;
    let digest = encoding::from_base64(digest).ok_or(HashError::Malformed)?;
    Ok((version, digest))
}

impl KeyHasher for TransitDigest {
    fn scheme(&self) -> &'static str {
        "vault-transit"
    }

    fn cost(&self) -> Plan {
        Plan::Slow
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        read(text).map(|_| ())
    }

    fn is_current(&self, text: &str) -> bool {
        read(text).is_ok_and(|(version, _)| version >= self.newest_version())
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        _random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        if input.secret().is_empty() {
            return Err(HashError::UnsuitableSecret);
        }
        let (version, mac) = self.mac(input, None).map_err(HashError::hasher)?;
        let digest = encoding::to_base64(&mac);
        Ok(DigestText::new(format!("{PREFIX}v={version}${digest}")))
    }

    /// Asks for the newest version first: mostly that is the one, and if not, this process has learnt of the newer one.
    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        let (version, stored) = read(text)?;
        if input.secret().is_empty() {
            return Ok(false);
        }
        let (newest, mut mac) = self.mac(input, None).map_err(HashError::hasher)?;
        if newest != version {
            // The first request differed in nothing but the version, so that is what was refused: it was taken away.
            mac = match self.mac(input, Some(version)) {
                Err(VaultError::Refused { status: 400 }) => {
                    return Err(HashError::PepperMissing { version });
                }
                other => other.map_err(HashError::hasher)?.1,
            };
        }
        Ok(mac::same(&mac, &stored))
    }
}

impl fmt::Debug for TransitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitDigest")
            .field("client", &self.inner.client)
            .field("path", &self.inner.path)
            .field("newest_version", &self.newest_version())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_texts_and_no_others() {
        let digest = encoding::to_base64(&[7; 32]);
        let good = format!("$vault-transit$v=3${digest}");
        assert_eq!(read(&good).unwrap(), (3, [7; 32]));
        assert!(matches!(
            read(&good.replace("transit", "other")),
            Err(HashError::UnknownScheme)
        ));
        for bad in [
            "$vault-transit$".to_owned(),
            good.replace("v=3", "v=0"),
            good.replace("v=3", "v=03"),
            good.replace("v=3", "v=4294967296"),
            good.replace("v=3", "3"),
            format!("{good}="),
            format!("{good}A"),
            good.replace(&digest, "AA"),
        ] {
            assert!(matches!(read(&bad), Err(HashError::Malformed)), "{bad}");
        }
    }

    #[test]
    fn reads_an_answer_of_one_form_only() {
        let mac = STANDARD.encode([7; 32]);
        assert_eq!(untagged(&format!("vault:v12:{mac}")), Some((12, [7; 32])));
        for bad in [
            "",
            "vault:v1:",
            &mac,
            &format!("vault:v0:{mac}"),
            &format!("vault:1:{mac}"),
            &format!("vault:v1:{mac}="),
            &format!("vault:v1:{}", STANDARD.encode([7; 64])),
        ] {
            assert_eq!(untagged(bad), None, "{bad}");
        }
    }

    #[test]
    fn tells_id_and_secret_apart() {
        assert_ne!(fingerprint("ab", b"c"), fingerprint("a", b"bc"));
    }
}
