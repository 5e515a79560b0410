//! A process that has installed no TLS is told so. The only test of its process: a provider is installed once and for all.
#![cfg(feature = "vault")]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use keyward::vault::{VaultClient, VaultError};

#[tokio::test]
async fn a_process_without_a_crypto_provider_gets_an_error_and_no_panic() {
    for address in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
        let client = VaultClient::builder(address).token("t").connect().await;
        let error = client.unwrap_err();
        assert!(matches!(error, VaultError::NoCryptoProvider), "{error:?}");
        assert!(error.to_string().contains("install_default"));
    }
}
