//! Stores the sessions of two users in a folder.
//!
//! `cargo run --example sessions`

use std::{error::Error, thread};

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{FileStore, Sessions, State, Transport};

fn main() -> Result<(), Box<dyn Error>> {
    // In production: App::new(client_id, client_secret).
    let sandbox = Sandbox::start()?;
    let app = sandbox.app();

    let folder = std::env::temp_dir().join(format!("sessions-{}", std::process::id()));
    let transport = Transport::new()?;
    let sessions = Sessions::new(app.clone(), transport, FileStore::open(&folder)?);

    // Each user authorizes once.
    for user in ["user-17", "user-42"] {
        let state = State::random();
        // In production, the user's browser returns with the code.
        let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
        let code = app.callback(&query, &state)?;
        sessions.get(user).exchange(code)?;
    }

    // Any thread, and any process that opens the folder, can use the sessions.
    thread::scope(|scope| {
        for user in ["user-17", "user-42"] {
            let (session, app) = (sessions.get(user), &app);
            scope.spawn(move || match session.send(|token| app.account(token)) {
                Ok(account) => println!("{}", account.email_address),
                Err(error) => println!("{error}; {:?}", error.remedy()),
            });
        }
    });

    // One user disconnects.
    sessions.get("user-42").end()?;
    for file in std::fs::read_dir(&folder)? {
        println!("{}", file?.path().display());
    }

    // Before the program ends, wait until new tokens are stored.
    sessions.flush()?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
