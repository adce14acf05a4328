//! ClickHouse behind TLS, with an authority of one's own.

use crate::support::{Clients, TlsProxy, Volley, assert_same_rows, broker, database};

#[test]
fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let Some(database) = database() else {
        return;
    };
    let proxy = TlsProxy::to(database.url(), Clients::Any);
    let topic = broker().topic(1);
    topic.fill(500);
    let load = || topic.load(proxy.url(), &database.table()).args(["--until-idle", "500ms"]);
    let unknown = ["cannot reach clickhouse at https://", "UnknownIssuer", "--clickhouse-ca FILE"];
    load().run().fails().says(&unknown);

    let run = load().args(["--clickhouse-ca", &proxy.file("ca.pem")]).run().succeeds();
    assert_eq!(run.count("rows_loaded"), 500);
    assert_same_rows(&topic, &database);
    let by_variable = load().env("VOLLEY_CLICKHOUSE_CA", &proxy.file("ca.pem")).run();
    by_variable.succeeds();
}

#[test]
fn a_certificate_is_shown_where_it_is_asked_for() {
    let Some(database) = database() else {
        return;
    };
    let proxy = TlsProxy::to(database.url(), Clients::WithCertificate);
    let topic = broker().topic(1);
    topic.fill(500);
    let ca = proxy.file("ca.pem");
    let load = || -> Volley {
        let load = topic.load(proxy.url(), &database.table()).args(["--until-idle", "500ms"]);
        load.args(["--clickhouse-ca", &ca])
    };
    load().run().fails().says(&["cannot reach clickhouse at https://", "--clickhouse-cert FILE"]);
    let (certificate, key) = (proxy.file("client.pem"), proxy.file("client-key.pem"));
    let shown = ["--clickhouse-cert", &certificate, "--clickhouse-key", &key];
    assert_eq!(load().args(shown).run().succeeds().count("rows_loaded"), 500);
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let (cargo, missing) = (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "/no/such/file");
    let load = |arguments: [&str; 4]| {
        let topic = broker().topic(1);
        topic.load_as_nobody("https://127.0.0.1:1", "t").args(arguments).run().fails()
    };
    load(["--clickhouse-ca", missing, "--timeout", "1s"])
        .says(&["--clickhouse-ca /no/such/file: No such file"]);
    load(["--clickhouse-ca", cargo, "--timeout", "1s"]).says(&["it holds no certificate in PEM"]);
    load(["--clickhouse-cert", cargo, "--clickhouse-key", cargo]).says(&["--clickhouse-cert"]);
    load(["--clickhouse-cert", cargo, "--timeout", "1s"]).says(&["--clickhouse-key <FILE>"]);
}
