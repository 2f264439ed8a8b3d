//! Tests that the code of a login is exchanged once.

use std::{sync::Arc, thread};

use dropbox_sign_oauth::{AuthorizationCode, CallError, State, session::SendError};

use crate::{Fixture, NONE, Session, each_adapter, wait_until};

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
