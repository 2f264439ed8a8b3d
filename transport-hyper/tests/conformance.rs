//! Runs the conformance cases.

use std::{future::pending, io, net::IpAddr};

use dropbox_sign_oauth_hyper::Transport;
use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Setup},
    fault::Resolution,
};

fn transport(setup: &Setup) -> Transport {
    let resolution = setup.resolution();
    let mut builder = Transport::builder()
        .deadline(setup.deadline())
        .connect_timeout(setup.connect_timeout())
        .body_limit(setup.body_limit())
        .extra_root(setup.root_certificate().clone());
    if resolution != Resolution::System {
        builder = builder.resolver(move |_| async move {
            match resolution {
                Resolution::Hangs => pending::<io::Result<Vec<IpAddr>>>().await,
                _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            }
        });
    }
    if setup.http2() {
        builder = builder.http2();
    }
    builder.build().expect("a valid root certificate")
}

#[test]
fn the_transport_conforms() {
    let report = Conformance::new("hyper")
        .with_resolver()
        .with_http2()
        .run_async(|setup| {
            let transport = transport(setup);
            async move |operation| transport.send(operation).await
        });
    println!("{report}");
    report.assert_conforms();
}
