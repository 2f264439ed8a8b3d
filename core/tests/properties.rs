//! Properties that hold for every input.

use dropbox_sign_oauth::{
    CallbackError, Error, ErrorCode, Expiry, Operation, ResponseCollector, Token,
    strategies::{self, Exchange},
};
use http::Response;
use proptest::prelude::*;

/// The response that a transport collects from these chunks.
fn collected(response: &Response<Vec<u8>>, chunks: &[Vec<u8>]) -> Result<Response<Vec<u8>>, Error> {
    let (head, _) = response.clone().into_parts();
    let mut collector = ResponseCollector::new(head, 64 * 1024);
    let mut read = || {
        collector.reserve()?;
        chunks.iter().try_for_each(|chunk| collector.push(chunk))
    };
    let response = match read() {
        Ok(()) => collector.finish(),
        Err(cause) => collector.interrupted(cause)?,
    };
    Ok(response.map(|body| body.as_ref().to_vec()))
}

/// Everything that an outcome can print.
fn printed<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> String {
    match outcome {
        Ok(result) => format!("{result:?} {result:#?}"),
        Err(error) => format!("{error} {error:?} {error:#?}"),
    }
}

fn with_chunks(
    response: impl Strategy<Value = Response<Vec<u8>>>,
) -> impl Strategy<Value = (Response<Vec<u8>>, Vec<Vec<u8>>)> {
    response.prop_flat_map(|response| {
        let chunks = strategies::chunks(response.body().clone());
        (Just(response), chunks)
    })
}

/// An exchange, and the response of a server that echoes its secrets.
fn echoing() -> impl Strategy<Value = (Exchange, Response<Vec<u8>>)> {
    strategies::exchange().prop_flat_map(|exchange| {
        let secrets = exchange.secrets().map(String::from).to_vec();
        (Just(exchange), strategies::hostile_response_with(secrets))
    })
}

proptest! {
    #[test]
    fn parse_never_panics(
        exchange in strategies::exchange(),
        response in strategies::hostile_response(),
    ) {
        let token = Token::new("NWNiOTMx").unwrap();
        let _ = exchange.operation().parse(response.clone());
        let _ = exchange.app.refresh(&token).parse(response.clone());
        let _ = exchange.app.account(&token).parse(response);
    }

    #[test]
    fn parses_every_honest_response(
        (exchange, (tokens, response), chunks) in strategies::exchange().prop_flat_map(|exchange| {
            let response = strategies::token_response(&exchange.state);
            (Just(exchange), response)
        }).prop_flat_map(|(exchange, (tokens, response))| {
            let chunks = strategies::chunks(response.body().clone());
            (Just(exchange), Just((tokens, response)), chunks)
        }),
    ) {
        let response = collected(&response, &chunks).unwrap();
        let parsed = exchange.operation().parse(response).unwrap();
        prop_assert_eq!(parsed.access_token.expose(), tokens.access_token);
        prop_assert_eq!(
            parsed.refresh_token.as_ref().map(Token::expose),
            tokens.refresh_token.as_deref()
        );
        let expiry = tokens.expires_in.map(|seconds| {
            Expiry::In(std::time::Duration::from_secs(seconds.into()))
        });
        prop_assert_eq!(parsed.expiry, expiry);
    }

    #[test]
    fn the_variant_does_not_depend_on_chunks(
        exchange in strategies::exchange(),
        (response, chunks) in with_chunks(strategies::hostile_response()),
    ) {
        let whole = collected(&response, &[response.body().clone()]);
        let whole = whole.and_then(|response| exchange.operation().parse(response));
        let parts = collected(&response, &chunks);
        let parts = parts.and_then(|response| exchange.operation().parse(response));
        let variants = [whole, parts].map(|outcome| outcome.err().as_ref().map(std::mem::discriminant));
        prop_assert_eq!(variants[0], variants[1]);
    }

    #[test]
    fn no_output_contains_a_secret((exchange, response) in echoing()) {
        let outcome = exchange.operation().parse(response.clone());
        let token = Token::new(&exchange.code).unwrap();
        let operation = exchange.operation();
        let texts = [
            printed(&outcome),
            printed(&exchange.app.refresh(&token).parse(response.clone())),
            printed(&exchange.app.account(&token).parse(response)),
            format!("{operation:?} {:?} {:?}", exchange.app, exchange.state),
            format!("{:?}", operation.request().headers()),
        ];
        // A refresh has no state, and the account request no client secret.
        let [client_secret, code, state] = exchange.secrets();
        for (text, secrets) in texts.iter().zip([
            &[client_secret, code, state][..],
            &[client_secret, code],
            &[code],
            &[client_secret, code, state],
            &[client_secret, code, state],
        ]) {
            for secret in secrets {
                prop_assert!(!text.contains(secret), "{} in {}", secret, text);
            }
        }
    }

    #[test]
    fn request_bodies_are_valid_json(exchange in strategies::exchange()) {
        let request = exchange.operation().request();
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        prop_assert_eq!(body, serde_json::json!({
            "client_id": exchange.client_id,
            "client_secret": exchange.client_secret,
            "code": exchange.code,
            "grant_type": "authorization_code",
            "state": exchange.state.as_str(),
        }));
        let token = Token::new(&exchange.code).unwrap();
        let request = exchange.app.refresh(&token).request();
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        prop_assert_eq!(body, serde_json::json!({
            "grant_type": "refresh_token",
            "refresh_token": exchange.code,
            "client_id": exchange.client_id,
            "client_secret": exchange.client_secret,
        }));
    }

    #[test]
    fn authorize_url_and_callback_round_trip(
        (exchange, query) in strategies::exchange().prop_flat_map(|exchange| {
            let url = exchange.app.authorize_url(&exchange.state);
            let (_, query) = url.split_once('?').unwrap();
            // The server returns the state that it read from the URL.
            let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
            let state = state.unwrap().1.into_owned();
            let parameters = [("code", exchange.code.clone()), ("state", state)];
            let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).to_vec();
            (Just(exchange), strategies::callback_query(parameters))
        }),
    ) {
        let code = exchange.app.callback(&query, &exchange.state).unwrap();
        let (request, expected) = (exchange.app.generate(code).request(), exchange.operation().request());
        prop_assert_eq!(request.body(), expected.body());
    }

    #[test]
    fn accepts_a_callback_only_if_the_states_are_equal(
        exchange in strategies::exchange(),
        other in strategies::state(),
        equal in any::<bool>(),
    ) {
        let expected = if equal { &exchange.state } else { &other };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &exchange.code)
            .append_pair("state", exchange.state.as_str())
            .finish();
        match exchange.app.callback(&query, expected) {
            Ok(_) => prop_assert_eq!(exchange.state.as_str(), expected.as_str()),
            Err(error) => {
                prop_assert_eq!(error, CallbackError::StateMismatch);
                prop_assert_ne!(exchange.state.as_str(), expected.as_str());
            }
        }
    }

    #[test]
    fn hostile_callbacks_never_panic_or_show_secrets(
        exchange in strategies::exchange(),
        query in strategies::hostile_query(),
    ) {
        if let Err(error) = exchange.app.callback(&query, &exchange.state) {
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains(exchange.state.as_str()));
            prop_assert!(!text.contains(char::is_control));
        }
    }

    #[test]
    fn error_codes_round_trip(text in ".{0,40}") {
        let code = ErrorCode::from(text.clone());
        prop_assert_eq!(code.as_str(), text.as_str());
        prop_assert_eq!(ErrorCode::from(code.to_string()), code);
    }
}
