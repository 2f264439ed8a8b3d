//! The async transport behind a tower middleware stack: at most 8 calls at a time, each logged.
//!
//! `cargo run --example middleware`

use std::error::Error;

use dropbox_sign_oauth_hyper::{
    RequestBody, Transport,
    core::{App, Endpoints, State},
};
use http::Request;
use tower::ServiceBuilder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Transport::builder();
    let service = ServiceBuilder::new()
        .concurrency_limit(8)
        .map_request(|request: Request<RequestBody>| {
            // The headers mark the credentials as sensitive, and the body shows its length alone.
            println!("sending {request:#?}");
            request
        })
        .service(builder.build_client()?);
    let transport = builder.build_with_service(service);

    // Nobody listens there: the error says that the request was not sent.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let app = App::builder(
        "cc91c61d00f8bb2ece1428035716b",
        "1d14434088507ffa390e6f5528465",
    )
    .endpoints(Endpoints::at(&format!("http://{nobody}"))?)
    .build()?;
    let state = State::from_stored("900e06e2")?;
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state)?;
    match transport.send(app.generate(code)).await {
        Ok(tokens) => println!("{tokens:#?}"),
        Err(error) => {
            println!("{error}");
            let mut source = error.source();
            while let Some(error) = source {
                println!("  because: {error}");
                source = error.source();
            }
        }
    }
    Ok(())
}
