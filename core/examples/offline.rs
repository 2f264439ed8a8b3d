//! The whole exchange without a network: what is sent, and what each answer means.
//!
//! `cargo run --example offline`

use dropbox_sign_oauth::{App, AuthorizationCode, Operation, State, TokenResponse};
use http::{HeaderMap, Response};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::new(
        "cc91c61d00f8bb2ece1428035716b",
        "1d14434088507ffa390e6f5528465",
    )?;
    let state = State::from_stored("900e06e2")?;
    println!("send the user to\n  {}\n", app.authorize_url(&state));

    let code = || -> Result<AuthorizationCode, _> {
        app.callback("code=1b0d28d90c86c141&state=900e06e2", &state)
    };
    let request = app.generate(code()?).request();
    println!(
        "exchange the code with\n  {} {}",
        request.method(),
        request.uri()
    );
    show(request.headers());

    for (status, body) in [
        (
            200,
            r#"{"access_token":"NWNiOTMx","token_type":"Bearer","refresh_token":"hNTI2MTFm","expires_in":86400,"state":"900e06e2"}"#,
        ),
        (200, r#"{"access_token":"NWNiOTMx","state":"another"}"#),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"The code was used."}"#,
        ),
        (502, "<html>Bad Gateway</html>"),
    ] {
        let response = Response::builder().status(status).body(body)?;
        println!("\nto a {status} {body}");
        match app.generate(code()?).parse(response) {
            Ok(TokenResponse { expiry, .. }) => println!("  tokens, expiring {expiry:?}"),
            Err(error) => println!("  {error}"),
        }
    }
    Ok(())
}

/// Prints headers; the credentials are marked sensitive, and `Debug` respects that.
fn show(headers: &HeaderMap) {
    for (name, value) in headers {
        println!("  {name}: {value:?}");
    }
}
