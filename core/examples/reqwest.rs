//! The core in a program that has reqwest already: no adapter, and the same rules.
//!
//! `cargo run --example reqwest`

use std::{
    error::Error,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use dropbox_sign_oauth::{
    App, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Endpoints, Operation,
    ResponseCollector, State,
};

/// A client under the transport rules: no redirects, no retries, no proxy from the environment,
/// no kept connections for codes, one deadline. In earnest it has one of reqwest's TLS features.
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(DEFAULT_CONNECT_TIMEOUT)
        .timeout(DEFAULT_DEADLINE)
        .build()
}

/// Carries any operation. A body is counted as it arrives, and a status that says enough is not
/// lost to a body that breaks off.
async fn send<O: Operation>(
    client: &reqwest::Client,
    operation: O,
) -> Result<O::Output, Box<dyn Error>> {
    let request = reqwest::Request::try_from(operation.request())?;
    let mut response = client.execute(request).await?;
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = response.status();
    head.headers = std::mem::take(response.headers_mut());
    let mut collector = ResponseCollector::new(head, DEFAULT_BODY_LIMIT);
    let response = match collect(&mut collector, response).await {
        Ok(()) => collector.finish(),
        Err(error) => collector.interrupted(error)?,
    };
    Ok(operation.parse(response)?)
}

async fn collect(
    collector: &mut ResponseCollector,
    mut response: reqwest::Response,
) -> Result<(), Box<dyn Error>> {
    collector.reserve()?;
    while let Some(chunk) = response.chunk().await? {
        collector.push(&chunk)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let base = format!("http://{}", answer_once()?);
    let app = App::builder(
        "cc91c61d00f8bb2ece1428035716b",
        "1d14434088507ffa390e6f5528465",
    )
    .endpoints(Endpoints::at(&base)?)
    .build()?;
    let state = State::from_stored("900e06e2")?;
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state)?;
    let tokens = send(&client()?, app.generate(code)).await?;
    println!("{tokens:#?}");
    Ok(())
}

/// Stands in for the service: answers one request with the vendor's example, on loopback.
fn answer_once() -> std::io::Result<std::net::SocketAddr> {
    const BODY: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer","refresh_token":"hNTI2MTFm","expires_in":86400,"state":"900e06e2"}"#;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk)?;
            request.extend_from_slice(&chunk[..read]);
        }
        let length = BODY.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
        )
    });
    Ok(address)
}
