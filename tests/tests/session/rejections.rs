//! Tests access tokens and refresh tokens that the server rejects.

use std::{error::Error as _, sync::Arc, thread, time::Duration};

use dropbox_sign_oauth::{RetryPolicy, session::RefreshState};
use http::Request;

use crate::{
    ADAPTERS, KEY, LONG_LEASE, Session, Sessions, expired, exposed, fresh, options,
    service::Service,
    store::{TestStore, access_token},
    tokens,
};

#[test]
fn refreshes_a_rejected_token_once_and_resends_the_request() {
    for adapter in ADAPTERS {
        for second in [200, 401] {
            let service = Service::start();
            let session = Session::new(adapter, &service.app, TestStore::with(&fresh()));
            let account = {
                let (session, app) = (session.clone(), service.app.clone());
                thread::spawn(move || session.account(&app))
            };
            service.next_request().respond_with_account("a0", 401);
            service.next_request().respond_with_tokens("r0", 1);
            service.next_request().respond_with_account("a1", second);
            match account.join().unwrap() {
                Ok(account) => {
                    assert_eq!(second, 200);
                    assert_eq!(account.email_address, "me@dropboxsign.com");
                }
                Err(error) => {
                    assert_eq!(second, 401);
                    assert!(error.to_string().contains("401 Unauthorized"), "{error}");
                }
            }
            // A rejected token is not refreshed again within a minute.
            let (sent, outcome) = session.send_request(&[401]);
            assert_eq!((sent, outcome), (vec!["Bearer a1".into()], Ok(401)));
            service.assert_no_more_requests();
        }
    }
}

#[test]
fn returns_the_401_if_a_refresh_returns_the_same_token() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let session = Session::new(adapter, &service.app, TestStore::with(&fresh()));
        let sending = {
            let session = session.clone();
            thread::spawn(move || session.send_request(&[401]))
        };
        service.next_request().respond_with_tokens("r0", 0); // The response contains a0 and r0.
        let (sent, outcome) = sending.join().unwrap();
        assert_eq!((sent, outcome), (vec!["Bearer a0".into()], Ok(401)));
        for _ in 0..10 {
            let (sent, outcome) = session.send_request(&[401]);
            assert_eq!((sent, outcome), (vec!["Bearer a0".into()], Ok(401)));
        }
        service.assert_no_more_requests();
    }
}

#[test]
fn retries_calls_only_if_the_options_have_a_retry_policy() {
    for adapter in ADAPTERS {
        let retry = RetryPolicy::default().attempts(2).base_delay(Duration::ZERO);
        for (options, attempts) in [(options(LONG_LEASE), 1), (options(LONG_LEASE).retry(retry), 2)]
        {
            let service = Service::start();
            let store = TestStore::with(&fresh());
            let sessions = Sessions::with_options(adapter, &service.app, store, options);
            let account = {
                let (session, app) = (sessions.get(KEY), service.app.clone());
                thread::spawn(move || session.account(&app))
            };
            for _ in 0..attempts {
                service.next_request().respond_with_account("a0", 503);
            }
            assert!(account.join().unwrap().is_err(), "{adapter}");
            service.assert_no_more_requests();
        }
    }
}

#[test]
fn authorizes_requests_of_other_clients() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let session = Session::new(adapter, &service.app, TestStore::with(&fresh()));
        for status in [200, 403, 500] {
            let (sent, outcome) = session.send_request(&[status]);
            assert_eq!((sent, outcome), (vec!["Bearer a0".into()], Ok(status)));
        }
        let sending = {
            let session = session.clone();
            thread::spawn(move || session.send_request(&[401, 200]))
        };
        service.next_request().respond_with_tokens("r0", 1);
        let (sent, outcome) = sending.join().unwrap();
        assert_eq!(sent, ["Bearer a0", "Bearer a1"]);
        assert_eq!(outcome, Ok(200));

        let request = session.authorize(Request::new("body"));
        let header = &request.headers()["authorization"];
        assert_eq!(header, "Bearer a1");
        assert!(header.is_sensitive());
    }
}

#[test]
fn reports_a_revoked_session_until_the_user_authorizes() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let waiting = session.spawn_access_token();
        let body = r#"{"error":"invalid_grant","error_description":"revoked"}"#;
        service.next_request().respond(400, body);
        let error = waiting.join().unwrap().unwrap_err();
        assert!(error.needs_authorization());
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("invalid_grant (revoked)"), "{cause}");
        let stored = store.stored().unwrap();
        assert!(matches!(stored.refresh(), RefreshState::Revoked));
        assert!(session.access_token().unwrap_err().needs_authorization());
        service.assert_no_more_requests();

        session.replace_tokens(tokens("a5")).unwrap();
        assert_eq!(session.access_token().unwrap().expose(), "a5");
        assert_eq!(access_token(&store), "a5");
    }
}

#[test]
fn end_removes_the_session_from_the_store_and_from_memory() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&fresh());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let session = sessions.get(KEY);
        assert_eq!(session.access_token().unwrap().expose(), "a0");
        session.end().unwrap();
        assert_eq!(store.stored(), None);
        for session in [session, sessions.get(KEY)] {
            assert!(session.access_token().unwrap_err().needs_authorization());
        }
        // The session can begin again.
        sessions.get(KEY).replace_tokens(tokens("a5")).unwrap();
        assert_eq!(access_token(&store), "a5");
        service.assert_no_more_requests();
    }
}

#[test]
fn session_that_ends_during_a_refresh_stays_ended() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let sessions =
            Sessions::with_options(adapter, &service.app, Arc::clone(&store), options(LONG_LEASE));
        let session = sessions.get(KEY);
        let waiting = session.spawn_access_token();
        let request = service.next_request();
        session.end().unwrap();
        request.respond_with_tokens("r0", 1);
        assert!(waiting.join().unwrap().unwrap_err().needs_authorization());
        sessions.flush().unwrap();
        assert_eq!(store.stored(), None, "{adapter}");
        service.assert_no_more_requests();
    }
}

#[test]
fn waiting_callers_get_the_token_of_a_new_authorization() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let waiting = session.spawn_access_token();
        let request = service.next_request();
        session.replace_tokens(tokens("a5")).unwrap();
        assert_eq!(exposed(waiting.join()), "a5");
        request.respond_with_tokens("r0", 1);
        session.flush().unwrap();
        assert_eq!(access_token(&store), "a5", "{adapter}");
    }
}
