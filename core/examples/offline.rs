//! A code exchange without a network: prints the request, and the results of several responses.
//!
//! `cargo run --example offline`

use dropbox_sign_oauth::{App, Operation, State};
use http::Response;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
    let state = State::random();
    println!("authorize page: {}\n", app.authorize_url(&state));

    let query = format!("code=1b0d28d90c86c141&state={}", state.as_str());
    let request = app.generate(app.callback(&query, &state)?).request();
    println!("{} {}", request.method(), request.uri());
    for (name, value) in request.headers() {
        // `Debug` hides values that are marked sensitive.
        println!("{name}: {value:?}");
    }

    for (status, body) in [
        (200, r#"{"access_token":"NWNiOTMx","expires_in":86400}"#),
        (200, r#"{"access_token":"NWNiOTMx","state":"another"}"#),
        (400, r#"{"error":"invalid_grant"}"#),
        (502, "<html>Bad Gateway</html>"),
    ] {
        println!("\n{status} {body}");
        // A real login exchanges its code once. This example needs one exchange for each response.
        let operation = app.generate(app.callback(&query, &state)?);
        match operation.parse(Response::builder().status(status).body(body)?) {
            Ok(tokens) => println!("tokens: {tokens:?}"),
            Err(error) => println!("{error}; remedy: {:?}", error.remedy()),
        }
    }
    Ok(())
}
