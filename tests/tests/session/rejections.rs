//! Tests access tokens and refresh tokens that the server rejects.

use std::{error::Error as _, time::Duration};

use dropbox_sign_oauth::{RetryPolicy, session::RefreshState};
use http::Request;

use crate::{EXPIRED, FRESH, Fixture, KEY, LONG_LEASE, each_adapter, each_adapter_with, options};

#[test]
fn refreshes_a_rejected_token_once_and_resends_the_request() {
    for second in [200, 401] {
        each_adapter(FRESH, |Fixture { service, session, .. }| {
            let app = service.app.clone();
            let account = session.spawn(move |session| session.account(&app));
            service.next_request().respond_with_account("a0", 401);
            service.next_request().respond_with_tokens(1);
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
            let sent = session.send_request(&[401]);
            assert_eq!(sent, (vec!["Bearer a1".into()], Ok(401)));
        });
    }
}

#[test]
fn retries_calls_only_if_the_options_have_a_retry_policy() {
    let retry = RetryPolicy::default().attempts(2).base_delay(Duration::ZERO);
    for (options, attempts) in [(options(LONG_LEASE), 1), (options(LONG_LEASE).retry(retry), 2)] {
        each_adapter_with(&options, FRESH, |Fixture { service, session, .. }| {
            let app = service.app.clone();
            let account = session.spawn(move |session| session.account(&app));
            for _ in 0..attempts {
                service.next_request().respond_with_account("a0", 503);
            }
            assert!(account.join().unwrap().is_err());
        });
    }
}

#[test]
fn authorizes_requests_of_other_clients() {
    each_adapter(FRESH, |Fixture { service, session, .. }| {
        for status in [200, 403, 500] {
            let sent = session.send_request(&[status]);
            assert_eq!(sent, (vec!["Bearer a0".into()], Ok(status)));
        }
        let sending = session.spawn(|session| session.send_request(&[401, 200]));
        service.next_request().respond_with_tokens(1);
        let sent = sending.join().unwrap();
        assert_eq!(sent, (vec!["Bearer a0".into(), "Bearer a1".into()], Ok(200)));

        let request = session.authorize(Request::new(()));
        let header = &request.headers()["authorization"];
        assert_eq!(header, "Bearer a1");
        assert!(header.is_sensitive());
    });
}

#[test]
fn reports_a_revoked_session_until_the_user_authorizes() {
    each_adapter(EXPIRED, |Fixture { service, store, session, .. }| {
        let waiting = session.spawn_access_token();
        let body = r#"{"error":"invalid_grant","error_description":"revoked"}"#;
        service.next_request().respond(400, body);
        let error = waiting.join().unwrap().unwrap_err();
        assert!(error.needs_authorization());
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("invalid_grant (revoked)"), "{cause}");
        assert!(matches!(store.stored().unwrap().refresh(), RefreshState::Revoked));
        assert!(session.access_token().unwrap_err().needs_authorization());
        service.assert_no_more_requests();

        session.replace_tokens("a5").unwrap();
        assert_eq!(session.token(), "a5");
        assert_eq!(store.token().unwrap(), "a5");
    });
}

#[test]
fn end_removes_the_session_from_the_store_and_from_memory() {
    each_adapter(FRESH, |Fixture { store, sessions, session, .. }| {
        assert_eq!(session.token(), "a0");
        session.end().unwrap();
        assert_eq!(store.stored(), None);
        for session in [session, sessions.get(KEY)] {
            assert!(session.access_token().unwrap_err().needs_authorization());
        }
        // The session can begin again.
        sessions.get(KEY).replace_tokens("a5").unwrap();
        assert_eq!(store.token().unwrap(), "a5");
    });
}

#[test]
fn session_that_ends_during_a_refresh_stays_ended() {
    each_adapter(EXPIRED, |Fixture { service, store, sessions, session, .. }| {
        let waiting = session.spawn_access_token();
        let request = service.next_request();
        session.end().unwrap();
        request.respond_with_tokens(1);
        assert!(waiting.join().unwrap().unwrap_err().needs_authorization());
        sessions.flush().unwrap();
        assert_eq!(store.stored(), None);
    });
}

#[test]
fn waiting_callers_get_the_token_of_a_new_authorization() {
    each_adapter(EXPIRED, |Fixture { service, store, session, .. }| {
        let waiting = session.spawn_token();
        let request = service.next_request();
        session.replace_tokens("a5").unwrap();
        assert_eq!(waiting.join().unwrap(), "a5");
        request.respond_with_tokens(1);
        session.flush().unwrap();
        assert_eq!(store.token().unwrap(), "a5");
    });
}
