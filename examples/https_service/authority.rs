//! A certificate authority of this process, for trying things out. Yours has its own, and its keys are not in a program.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use keyward::key::Thumbprint;
use keyward::time::{Clock as _, SystemClock};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, and the private key that belongs to it.
pub(crate) struct Identity {
    certificate: Certificate,
    key: Arc<KeyPair>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Validity {
    /// From yesterday until tomorrow.
    Now,
    /// Until yesterday.
    Over,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = params(name, &[], Validity::Now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        self.0.der()
    }

    /// Signs a server's certificate for these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Result<Identity, rcgen::Error> {
        let mut params = params("server", names, Validity::Now)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params, Arc::new(KeyPair::generate()?))
    }

    /// Signs a client's certificate, for a key pair of its own.
    pub(crate) fn client(&self, name: &str, validity: Validity) -> Result<Identity, rcgen::Error> {
        self.client_with(name, validity, Arc::new(KeyPair::generate()?))
    }

    /// Signs another certificate for the key pair of an old one.
    pub(crate) fn renewed(&self, name: &str, old: &Identity) -> Result<Identity, rcgen::Error> {
        self.client_with(name, Validity::Now, Arc::clone(&old.key))
    }

    fn client_with(
        &self,
        name: &str,
        validity: Validity,
        key: Arc<KeyPair>,
    ) -> Result<Identity, rcgen::Error> {
        let mut params = params(name, &[], validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, key)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: Arc<KeyPair>,
    ) -> Result<Identity, rcgen::Error> {
        let certificate = params.signed_by(&*key, &self.0)?;
        Ok(Identity { certificate, key })
    }
}

impl Identity {
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, &'static str> {
        PrivateKeyDer::try_from(self.key.serialize_der())
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_certificate(self.certificate())
    }

    /// Writes certificate and private key into one file that only its owner can read.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(self.certificate.pem().as_bytes())?;
        file.write_all(self.key.serialize_pem().as_bytes())
    }
}

fn params(
    name: &str,
    names: &[&str],
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let micros = u64::try_from(SystemClock::new().now().as_micros()).unwrap_or_default();
    let now = UNIX_EPOCH + Duration::from_micros(micros);
    let (from, until) = match validity {
        Validity::Now => (now - DAY, now + DAY),
        Validity::Over => (now - 2 * DAY, now - DAY),
    };
    (params.not_before, params.not_after) = (from.into(), until.into());
    Ok(params)
}
