//! libcurl passes the conformance run, but for what is named here.

use dropbox_sign_oauth_testkit::{conformance::Conformance, fault::Outcome};
use pem::Pem;

#[path = "../src/main.rs"]
#[expect(dead_code, reason = "its main function")]
mod client;

#[test]
fn curl_conforms() {
    // The client reuses no connection, and libcurl accepts some invalid heads and ends.
    let run = Conformance::new("curl")
        .allow("pooled-connection-head-cut", Outcome::Ok)
        .allow("pooled-connection-silence", Outcome::Ok)
        .allow("pooled-connection-fin-then-no-other", Outcome::NotSent)
        .allow("obs-fold", Outcome::Ok)
        .allow("content-length-conflict", Outcome::Ok)
        .allow("content-length-hexadecimal", Outcome::Malformed)
        .allow("content-length-10^30", Outcome::Ok)
        .allow("object-cut-by-any-fault-over-tls", Outcome::Malformed);
    let report = run.run_blocking(|setup| {
        let root = Pem::new("CERTIFICATE", setup.root_certificate.to_vec());
        let client = client::Client {
            root_certificate: Some(pem::encode(&root)),
            connect_timeout: setup.connect_timeout,
            deadline: setup.deadline,
            body_limit: setup.body_limit,
        };
        move |operation| client.send(operation)
    });
    println!("{report}");
    // libcurl reads an endless chunk extension until the deadline.
    let failed = report.rows.iter().filter(|row| !row.violations.is_empty());
    let failed: Vec<_> = failed.map(|row| row.case).collect();
    assert_eq!(failed, ["chunk-extension-endless"]);
}
