use std::{fmt::Write as _, path::Path};

use super::{
    Cluster,
    access::{AUTHORITY, BROKER_KEY_AND_CERTIFICATE, User},
};

/// The mechanisms that a password can be used with, beside PLAIN, which needs no entry in the storage.
pub(super) const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// The `server.properties` of one broker, which is a controller too. Brokers talk to each other in
/// the clear.
pub(super) fn properties(cluster: &Cluster, broker_idx: usize, data: &Path) -> String {
    let own = cluster.ports[broker_idx];
    let n_replicas = cluster.ports.len().min(3);
    let min_in_sync = n_replicas.saturating_sub(1).max(1);
    let nodes = cluster.ports.iter().enumerate();
    let voters = nodes.map(|(idx, ports)| format!("{}@127.0.0.1:{}", idx + 1, ports.controller));
    let authority = cluster.folder.join(AUTHORITY);
    let key_and_certificate = cluster.folder.join(BROKER_KEY_AND_CERTIFICATE);
    let mut text = String::new();
    let mut set = |key: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{key}={value}").unwrap();
    };
    set("process.roles", &"broker,controller");
    set("node.id", &(broker_idx + 1));
    set("log.dirs", &data.display());
    set("controller.quorum.voters", &voters.collect::<Vec<_>>().join(","));

    let listeners = [
        ("PLAINTEXT", own.plain),
        ("SASL_SSL", own.password),
        ("SSL", own.certificate),
        ("CONTROLLER", own.controller),
    ];
    let listeners = listeners.map(|(name, port)| format!("{name}://127.0.0.1:{port}"));
    set("listeners", &listeners.join(","));
    set("controller.listener.names", &"CONTROLLER");
    let protocols = "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT";
    set("listener.security.protocol.map", &protocols);
    set("ssl.keystore.type", &"PEM");
    set("ssl.keystore.location", &key_and_certificate.display());
    set("ssl.truststore.type", &"PEM");
    set("ssl.truststore.location", &authority.display());
    set("listener.name.ssl.ssl.client.auth", &"required");
    let mechanisms = format!("PLAIN,{}", MECHANISMS.join(","));
    set("listener.name.sasl_ssl.sasl.enabled.mechanisms", &mechanisms);
    let User { name, password } = &cluster.user;
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let plain = format!("{plain} user_{name}=\"{password}\";");
    set("listener.name.sasl_ssl.plain.sasl.jaas.config", &plain);
    for mechanism in MECHANISMS {
        set(
            &format!("listener.name.sasl_ssl.{}.sasl.jaas.config", mechanism.to_lowercase()),
            &"org.apache.kafka.common.security.scram.ScramLoginModule required;",
        );
    }

    set("auto.create.topics.enable", &false);
    for internal in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{internal}.replication.factor"), &n_replicas);
    }
    for internal in ["transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{internal}.min.isr"), &min_in_sync);
    }
    set("default.replication.factor", &n_replicas);
    set("min.insync.replicas", &min_in_sync);
    set("offsets.topic.num.partitions", &4);

    // Tests wait for what these delay: members that join or were killed.
    set("group.initial.rebalance.delay.ms", &0);
    set("group.min.session.timeout.ms", &1_000);
    // A buffer of 128 MB by default, for more topics than this ever has.
    set("log.cleaner.dedupe.buffer.size", &4_194_304);
    text
}
