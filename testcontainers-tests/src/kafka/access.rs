use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

use super::KafkaError;

/// What a client needs to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its `bootstrap.servers`.
    pub brokers: String,
    /// Its other librdkafka properties.
    pub properties: Vec<(&'static str, String)>,
}

impl Access {
    /// The same with one property set to something else.
    #[must_use]
    pub fn with(self, key: &'static str, value: &str) -> Self {
        let mut access = self.without(key);
        access.properties.push((key, value.to_owned()));
        access
    }

    /// The same with one property not set.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.properties.retain(|(found, _)| *found != key);
        self
    }

    /// The value of a property; `None` where it is not set.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(found, _)| *found == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// Who may log in with a password.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) password: String,
}

/// A certificate authority, and what brokers and clients have from it.
#[derive(Debug)]
pub(super) struct Credentials {
    user: User,
    folder: PathBuf,
}

/// Files of the brokers, in the cluster's folder.
pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const BROKER_KEY_AND_CERTIFICATE: &str = "broker.pem";
const CLIENT_CERTIFICATE: &str = "client.pem";
const CLIENT_KEY: &str = "client-key.pem";

impl Credentials {
    /// Makes keys, certificates and a password, and leaves what Kafka and clients read in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self, KafkaError> {
        let mut authority = params("Volley's test authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let issue = |mut params: CertificateParams, usage| -> Result<_, rcgen::Error> {
            params.extended_key_usages = vec![usage];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate()?;
            Ok((params.signed_by(&key, &authority)?.pem(), key.serialize_pem()))
        };
        let mut broker = params("broker");
        broker.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::DnsName("localhost".try_into()?),
        ];
        let (certificate, key) = issue(broker, ExtendedKeyUsagePurpose::ServerAuth)?;
        let write =
            |name: &str, text: String| -> io::Result<()> { fs::write(folder.join(name), text) };
        write(AUTHORITY, authority.pem())?;
        write(BROKER_KEY_AND_CERTIFICATE, key + &certificate)?;
        let (certificate, key) = issue(params("client"), ExtendedKeyUsagePurpose::ClientAuth)?;
        write(CLIENT_CERTIFICATE, certificate)?;
        write(CLIENT_KEY, key)?;
        let password = format!("{:016x}", rand::random::<u64>());
        Ok(Self { user: User { name: "volley", password }, folder: folder.to_owned() })
    }

    pub(super) fn user(&self) -> User {
        self.user.clone()
    }

    pub(super) fn with_password(&self, brokers: String, mechanism: &str) -> Access {
        let properties = vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", self.user.name.to_owned()),
            ("sasl.password", self.user.password.clone()),
            ("ssl.ca.location", self.path(AUTHORITY)),
        ];
        Access { brokers, properties }
    }

    pub(super) fn with_certificate(&self, brokers: String) -> Access {
        let properties = vec![
            ("security.protocol", "SSL".to_owned()),
            ("ssl.ca.location", self.path(AUTHORITY)),
            ("ssl.certificate.location", self.path(CLIENT_CERTIFICATE)),
            ("ssl.key.location", self.path(CLIENT_KEY)),
        ];
        Access { brokers, properties }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
