use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clickhouse::Client;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::ClickHouseError;

/// Least time between probes of a connection that nothing goes through.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a connection is kept for the next request: servers close theirs after three seconds.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whom to trust at an HTTPS address, and who we are there. By default, the system's authorities and
/// nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file with the authorities that are trusted, in place of the system's.
    pub authority: Option<PathBuf>,
    /// Who we are.
    pub identity: Option<Identity>,
}

/// A certificate for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file with the certificate, and those of authorities between, if any.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
}

/// A client that has no address yet.
///
/// # Errors
///
/// [`ClickHouseError::Tls`] where a file is not there or does not hold what it should.
pub(super) fn client(options: &TlsOptions) -> Result<Client, ClickHouseError> {
    if *options == TlsOptions::default() {
        return Ok(Client::default());
    }
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config(options)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let http = HttpClient::builder(TokioExecutor::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .build(connector);
    Ok(Client::with_http_client(http))
}

fn config(options: &TlsOptions) -> Result<ClientConfig, ClickHouseError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("--clickhouse", Path::new("TLS"), error.to_string()))?;
    let builder = builder.with_root_certificates(authorities(options)?);
    let Some(Identity { certificate, key }) = &options.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("--clickhouse-cert", certificate)?;
    let pem = read("--clickhouse-key", key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem);
    let private = private.map_err(|error| wrong("--clickhouse-key", key, error.to_string()))?;
    let made = builder.with_client_auth_cert(chain, private);
    made.map_err(|error| wrong("--clickhouse-cert", certificate, error.to_string()))
}

fn authorities(options: &TlsOptions) -> Result<RootCertStore, ClickHouseError> {
    let mut trusted = RootCertStore::empty();
    let Some(path) = &options.authority else {
        // Those that cannot be read are no loss as long as there are others.
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(trusted);
    };
    for certificate in certificates("--clickhouse-ca", path)? {
        let added = trusted.add(certificate);
        added.map_err(|error| wrong("--clickhouse-ca", path, error.to_string()))?;
    }
    Ok(trusted)
}

fn certificates(
    flag: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ClickHouseError> {
    let pem = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(flag, path, error.to_string()))?;
    if found.is_empty() {
        return Err(wrong(flag, path, "it holds no certificate in PEM"));
    }
    Ok(found)
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, ClickHouseError> {
    fs::read(path).map_err(|error| wrong(flag, path, error.to_string()))
}

fn wrong(flag: &'static str, path: &Path, reason: impl Into<String>) -> ClickHouseError {
    ClickHouseError::Tls { flag, path: path.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_something_else_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pem");
        let check = |text: Option<&str>, reason: &str| {
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let options = TlsOptions { authority: Some(path.clone()), identity: None };
            let error = client(&options).err().unwrap().to_string();
            assert!(error.starts_with("--clickhouse-ca ") && error.contains(reason), "{error}");
        };
        check(None, "No such file");
        check(Some("not pem"), "no certificate in PEM");
        check(
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate",
        );
    }
}
