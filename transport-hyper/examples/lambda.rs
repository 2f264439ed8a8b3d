//! Handles events as an AWS Lambda function does: one at a time, on a runtime that does not run
//! between the events.
//!
//! `cargo run --example lambda`

use std::error::Error;

use dropbox_sign_oauth_hyper::{
    App, Blocking, CallError, FileStore, Sessions, State, Transport, session::SendError,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;

/// What lives as long as the instance.
struct Function {
    app: App,
    transport: Transport,
    sessions: Sessions,
}

impl Function {
    /// Handles the user's return from the authorize page.
    async fn callback(&self, user: &str, query: &str, state: &State) -> Result<(), Box<dyn Error>> {
        let code = self.app.callback(query, state)?;
        let tokens = self.transport.send(self.app.generate(code)).await?;
        self.sessions.get(user).begin(tokens).await?;
        Ok(self.sessions.flush().await?)
    }

    /// Handles an event that needs the user's account.
    async fn account(&self, user: &str) -> Result<String, SendError<CallError>> {
        let account = self.sessions.get(user).send(|token| self.app.account(token)).await;
        // Stores a new token before the runtime stops.
        self.sessions.flush().await?;
        Ok(account?.email_address)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start()?; // in production, App::new(client_id, client_secret)?
    // In production, a database that all instances share.
    let folder = std::env::temp_dir().join(format!("lambda-{}", std::process::id()));
    let (app, transport) = (sandbox.app(), Transport::new()?);
    let store = Blocking::new(FileStore::open(&folder)?);
    let sessions = Sessions::new(app.clone(), transport.clone(), store);
    let function = Function { app, transport, sessions };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let state = State::random();
    let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
    runtime.block_on(function.callback("user-17", &query, &state))?;
    for _ in 0..2 {
        println!("{}", runtime.block_on(function.account("user-17"))?);
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
