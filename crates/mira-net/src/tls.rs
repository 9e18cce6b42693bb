//! TLS settings, made once: rustls with ring, trusting what the system trusts.

use crate::error::NetError;
use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// A client's TLS settings with the system's certificates. Loading those takes milliseconds, so a client keeps the result.
pub(crate) fn system() -> Result<ClientConfig, NetError> {
    let failed = |error: rustls::Error| NetError::Tls { why: error.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Arc::clone(&provider)).map_err(failed)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
