//! The core embedded in other HTTP clients: the examples pass the conformance run, but for what
//! is allowed by name.

use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Report},
    fault::Outcome,
    tls::client_config,
};

#[path = "../examples/reqwest.rs"]
#[expect(dead_code, reason = "its main function")]
mod reqwest;
#[path = "../examples/tcp.rs"]
#[expect(dead_code, reason = "its main function")]
mod tcp;

fn assert_conforms(report: &Report) {
    println!("{report}");
    report.assert_conforms();
}

/// reqwest limits neither the size of a head nor the headers of HTTP/2, and the example reuses no
/// connection.
#[test]
fn reqwest_conforms() {
    let run = Conformance::new("reqwest")
        .with_http2()
        .allow("head-of-17000-bytes", Outcome::Ok)
        .allow("h2-101-headers", Outcome::Ok)
        .allow("pooled-connection-head-cut", Outcome::Ok)
        .allow("pooled-connection-silence", Outcome::Ok)
        .allow("pooled-connection-fin-then-no-other", Outcome::NotSent);
    assert_conforms(&run.run_async(|setup| {
        let mut tls = client_config([setup.root_certificate.clone()]);
        if setup.http2 {
            tls.alpn_protocols = vec![b"h2".to_vec()];
        }
        let client = reqwest::client(tls, setup.connect_timeout, setup.deadline);
        let (client, limit) = (client.expect("valid settings"), setup.body_limit);
        async move |operation| reqwest::send(&client, limit, operation).await
    }));
}

/// HTTP/1.0 has no chunked bodies, and the example reuses no connection.
#[test]
fn tcp_conforms() {
    let run = Conformance::new("tcp")
        .without_tls()
        .allow("pooled-connection-head-cut", Outcome::Ok)
        .allow("pooled-connection-silence", Outcome::Ok)
        .allow("body-empty-chunked", Outcome::Unknown)
        .allow("complete-object-then-any-fault", Outcome::Unknown)
        .allow("complete-object-then-any-fault", Outcome::Malformed)
        .allow("object-cut-by-any-fault", Outcome::Malformed)
        .allow("complete-object-then-half-an-end", Outcome::Malformed)
        .allow("chunked", Outcome::Unknown)
        .allow("trailers-endless", Outcome::TooLarge)
        .allow("body-of-the-limit", Outcome::TooLarge);
    assert_conforms(&run.run_blocking(|setup| {
        let client = tcp::Client {
            connect_timeout: setup.connect_timeout,
            deadline: setup.deadline,
            body_limit: setup.body_limit,
        };
        move |operation| client.send(operation)
    }));
}
