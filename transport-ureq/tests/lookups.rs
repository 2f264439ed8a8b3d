//! Name resolution that hangs.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::{
    peer::{BlackHole, Peer, Script},
    samples::{TOKENS, app_at, code, ok},
};
use dropbox_sign_oauth_ureq::{CallError, PlainHttp, Transport, TransportBuilder};

fn builder() -> TransportBuilder {
    Transport::builder().plain_http(PlainHttp::Anywhere)
}

fn generate(transport: &Transport, base: &str) -> Result<(), CallError> {
    transport.send(app_at(base).generate(code())).map(drop)
}

fn server() -> Peer {
    let script = Script::new().read_request().send(ok(TOKENS));
    Peer::start([script], None).unwrap()
}

/// A resolver that hangs until it is released.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    fn look_up(&self) -> Vec<IpAddr> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.running.fetch_sub(1, Ordering::SeqCst);
        vec![Ipv4Addr::LOCALHOST.into()]
    }
}

#[test]
fn hanging_lookups_are_bounded() {
    let server = server();
    let gate = Arc::new(Gate::default());
    let transport = builder().connect_timeout(Duration::from_millis(500)).resolver({
        let gate = Arc::clone(&gate);
        move |_| Ok(gate.look_up())
    });
    let transport = transport.build().unwrap();
    let base = format!("http://sign.example.com:{}", server.address().port());
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let started = Instant::now();
                let error = generate(&transport, &base).unwrap_err();
                assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
                assert!(started.elapsed() < Duration::from_secs(2));
            });
        }
    });
    assert_eq!(gate.most.load(Ordering::SeqCst), 16);
    assert_eq!(server.tally().requests, 0);

    *gate.open.lock().unwrap() = true;
    gate.opened.notify_all();
    generate(&transport, &base).unwrap();
}

#[test]
fn waiting_call_takes_the_next_free_place() {
    let server = server();
    let transport = builder().resolver(|_| {
        thread::sleep(Duration::from_millis(50));
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    });
    let transport = transport.build().unwrap();
    let base = format!("http://sign.example.com:{}", server.address().port());
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| generate(&transport, &base).unwrap());
        }
    });
}

#[test]
fn panicking_lookup_is_not_sent() {
    let panicked = Arc::new(AtomicBool::new(false));
    let transport = builder().resolver({
        let panicked = Arc::clone(&panicked);
        move |_| {
            panicked.store(true, Ordering::SeqCst);
            // Without the message of a panic hook.
            std::panic::resume_unwind(Box::new(()))
        }
    });
    let transport = transport.build().unwrap();
    // More often than lookups may run at a time.
    for _ in 0..20 {
        let error = generate(&transport, "http://sign.example.com").unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    }
    assert!(panicked.load(Ordering::SeqCst));
}

#[test]
fn plain_http_to_localhost_is_refused_if_one_address_is_elsewhere() {
    let server = server();
    let base = format!("http://localhost:{}", server.address().port());
    for (other, is_ok) in [([127, 0, 0, 1], true), ([192, 0, 2, 1], false)] {
        let addresses = vec![Ipv4Addr::LOCALHOST.into(), other.into()];
        let builder = Transport::builder().resolver(move |_| Ok(addresses.clone()));
        match generate(&builder.build().unwrap(), &base) {
            Ok(()) => assert!(is_ok),
            Err(CallError::NotSent(failure)) => assert!(!is_ok && failure.is_insecure()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.tally().requests, 1);
}

#[test]
fn lookup_and_connection_share_the_connect_timeout() {
    let black_hole = BlackHole::bind().unwrap();
    let port = black_hole.address().port();
    let transport = builder().connect_timeout(Duration::from_secs(1)).resolver(|_| {
        thread::sleep(Duration::from_millis(900));
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    });
    let started = Instant::now();
    let error = generate(&transport.build().unwrap(), &format!("http://localhost:{port}"));
    let error = error.unwrap_err();
    assert!(matches!(&error, CallError::NotSent(_)), "{error:?}");
    assert!(error.is_timeout());
    assert!(started.elapsed() < Duration::from_millis(1600));
}
