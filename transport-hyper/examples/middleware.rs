//! Wraps the client in tower middleware that limits concurrency and prints each request.
//!
//! `cargo run --example middleware`

use std::error::Error;

use dropbox_sign_oauth_hyper::{RequestBody, ResponseStream, State, Transport};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use http::{Request, Response};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

type BoxError = Box<dyn Error + Send + Sync>;

/// The boxed middleware stack: a type that a struct can name.
type Stack = BoxCloneSyncService<Request<RequestBody>, Response<ResponseStream>, BoxError>;

/// The state of a web application, for example.
struct Web {
    transport: Transport<Stack>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let builder = Transport::builder();
    let stack = ServiceBuilder::new()
        .concurrency_limit(8)
        .map_request(|request: Request<RequestBody>| {
            // `Debug` hides credentials and shows only the length of the body.
            println!("{request:#?}");
            request
        })
        .service(builder.build_client()?);
    let web = Web { transport: builder.build_with_service(Stack::new(stack)) };

    let sandbox = Sandbox::start()?;
    let app = sandbox.app(); // in production, App::new(client_id, client_secret)?
    let state = State::random();
    let code = sandbox.issue_code(&state);
    let query = format!("code={code}&state={}", state.as_str());
    let tokens = web.transport.send(app.generate(app.callback(&query, &state)?)).await?;
    println!("{tokens:#?}");
    Ok(())
}
