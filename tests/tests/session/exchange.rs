//! Tests that the code of a login is exchanged once.

use std::{sync::Arc, thread, time::Duration};

use dropbox_sign_oauth::{AuthorizationCode, CallError, State, session::SendError};

use crate::{
    Fixture, LONG_LEASE, NONE, Session, each_adapter, each_adapter_with, options, store::Fault,
    wait_until,
};

type Exchanged = Result<(), Arc<SendError<CallError>>>;

fn code(state: &State) -> AuthorizationCode {
    AuthorizationCode::new("1b0d28d90c86c141", state.clone()).unwrap()
}

fn exchange(session: &Session, state: &State) -> Exchanged {
    match session {
        Session::Hyper(session, runtime) => runtime.block_on(session.exchange(code(state))),
        Session::Ureq(session) => session.exchange(code(state)),
    }
}

#[test]
fn exchanges_the_code_of_a_login_once() {
    each_adapter(NONE, |Fixture { service, store, session, .. }| {
        for (status, body, outcome) in [
            (200, r#"{"access_token":"a1"}"#, Ok(())),
            (
                400,
                r#"{"error":"invalid_grant"}"#,
                Err("the server rejected the request: 400 invalid_grant".to_owned()),
            ),
        ] {
            let state = State::random();
            let callbacks = [(); 2].map(|()| {
                let (session, state) = (session.clone(), state.clone());
                thread::spawn(move || exchange(&session, &state))
            });
            service.next_request().respond(status, body);
            let mut outcomes = callbacks.map(|callback| callback.join().unwrap()).to_vec();
            outcomes.push(exchange(&session, &state));
            for exchanged in outcomes {
                assert_eq!(exchanged.map_err(|error| error.to_string()), outcome);
            }
        }
        assert_eq!(store.token().as_deref(), Some("a1"));
    });
}

#[test]
fn completes_an_exchange_whose_caller_is_dropped() {
    each_adapter(NONE, |Fixture { service, store, session, .. }| {
        // A blocking call cannot be dropped.
        let Session::Hyper(session, runtime) = session else { return };
        let caller = runtime.spawn(async move { session.exchange(code(&State::random())).await });
        let request = service.next_request();
        caller.abort();
        assert!(runtime.block_on(caller).unwrap_err().is_cancelled());
        request.respond(200, r#"{"access_token":"a1"}"#);
        wait_until(|| store.token().as_deref() == Some("a1"));
    });
}

#[test]
fn sends_a_code_again_that_was_rate_limited() {
    each_adapter(NONE, |Fixture { service, store, session, .. }| {
        let state = State::random();
        for (status, body, is_ok) in [(429, "", false), (200, r#"{"access_token":"a1"}"#, true)] {
            let state = state.clone();
            let callback = session.spawn(move |session| exchange(session, &state));
            service.next_request().respond(status, body);
            assert_eq!(callback.join().unwrap().is_ok(), is_ok);
        }
        assert_eq!(store.token().as_deref(), Some("a1"));
    });
}

#[test]
fn flush_waits_for_an_exchange() {
    let options = options(LONG_LEASE).flush_timeout(Duration::ZERO);
    each_adapter_with(&options, NONE, |Fixture { service, sessions, session, .. }| {
        let callback = session.spawn(|session| exchange(session, &State::random()));
        let request = service.next_request();
        assert!(sessions.flush().is_err() && session.flush().is_err());
        request.respond(200, r#"{"access_token":"a1"}"#);
        callback.join().unwrap().unwrap();
        sessions.flush().unwrap();
    });
}

#[test]
fn reports_that_the_tokens_of_an_exchange_are_stored_after_all() {
    each_adapter(NONE, |Fixture { service, store, session, .. }| {
        let state = State::random();
        store.set(Fault::FailsToSwap);
        let first = state.clone();
        let callback = session.spawn(move |session| exchange(session, &first));
        service.next_request().respond(200, r#"{"access_token":"a1"}"#);
        assert!(callback.join().unwrap().is_err());
        store.set(Fault::None);
        wait_until(|| store.token().as_deref() == Some("a1"));
        session.flush().unwrap();
        exchange(&session, &state).unwrap();
    });
}
