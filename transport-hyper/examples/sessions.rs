//! Stores the sessions of two users in a folder.
//!
//! `cargo run --example sessions`

use std::error::Error;

use dropbox_sign_oauth_hyper::{Blocking, FileStore, Sessions, State, Transport};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In production: App::new(client_id, client_secret).
    let sandbox = Sandbox::start()?;
    let app = sandbox.app();

    let folder = std::env::temp_dir().join(format!("sessions-{}", std::process::id()));
    let transport = Transport::new()?;
    let store = Blocking::new(FileStore::open(&folder)?);
    let sessions = Sessions::new(app.clone(), transport, store);

    // Each user authorizes once.
    for user in ["user-17", "user-42"] {
        let state = State::random();
        // In production, the user's browser returns with the code.
        let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
        let code = app.callback(&query, &state)?;
        sessions.get(user).exchange(code).await?;
    }

    // Any task, and any process that opens the folder, can use the sessions.
    let calls = ["user-17", "user-42"].map(|user| {
        let (session, app) = (sessions.get(user), app.clone());
        tokio::spawn(async move { session.send(|token| app.account(token)).await })
    });
    for call in calls {
        println!("{}", call.await??.email_address);
    }

    // One user disconnects.
    sessions.get("user-42").end().await?;
    for file in std::fs::read_dir(&folder)? {
        println!("{}", file?.path().display());
    }

    // Before the program ends, wait until new tokens are stored.
    sessions.flush().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
