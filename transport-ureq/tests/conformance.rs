//! The conformance run of the testkit.

use std::{io, thread};

use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Setup},
    fault::{Outcome, Resolution},
};
use dropbox_sign_oauth_ureq::Transport;

fn transport(setup: &Setup) -> Transport {
    let resolution = setup.resolution();
    let mut builder = Transport::builder()
        .deadline(setup.deadline())
        .connect_timeout(setup.connect_timeout())
        .body_limit(setup.body_limit())
        .extra_root(setup.root_certificate().clone());
    if resolution != Resolution::System {
        builder = builder.resolver(move |_| match resolution {
            Resolution::Hangs => loop {
                thread::park();
            },
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        });
    }
    builder.build().expect("valid settings")
}

#[test]
fn transport_conforms() {
    let report = Conformance::new("ureq")
        .with_resolver()
        // RFC 9110 allows headers in a 100; ureq treats them as an error.
        .allow("interim-100-with-headers", Outcome::Unknown)
        .run_blocking(|setup| {
            let transport = transport(setup);
            move |operation| transport.send(operation)
        });
    println!("{report}");
    report.assert_conforms();
}
