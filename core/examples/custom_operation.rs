//! Implements an operation of the vendor's API that this crate does not have.
//!
//! `cargo run --example custom_operation`

use dropbox_sign_oauth::{Error, Operation, Replay, Token, parse_json};
use http::{Request, Response, Uri};
use serde_json::Value;

/// `GET /v3/team/info`
struct TeamInfo<'a>(&'a Token);

impl Operation for TeamInfo<'_> {
    type Output = Value;

    fn replay(&self) -> Replay {
        Replay::Safe
    }

    fn request(&self) -> Request<Vec<u8>> {
        let mut request = self.0.authorize(Request::default());
        *request.uri_mut() = Uri::from_static("https://api.hellosign.com/v3/team/info");
        request
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Value, Error> {
        parse_json(&response, &[self.0.expose()])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let access_token = Token::new("NWNiOTMxOGFkOGVj")?;
    let request = TeamInfo(&access_token).request();
    println!("{} {}", request.method(), request.uri());

    // In production, a transport sends it: `transport.send(TeamInfo(&access_token))`.
    let response = Response::new(r#"{"team":{"name":"Legal"}}"#);
    let team = TeamInfo(&access_token).parse(response)?;
    println!("team {}", team["team"]["name"]);
    Ok(())
}
