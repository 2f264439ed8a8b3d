//! A web application whose users connect their Dropbox Sign accounts:
//! `cargo run --example webapp`, then open the URL that it prints.
//!
//! By default, it runs a sandbox of the service and stores the sessions in a temporary folder. In
//! production, the environment has:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `DROPBOX_SIGN_CLIENT_ID`, `DROPBOX_SIGN_CLIENT_SECRET` | the app at Dropbox Sign; its settings list the callback `ORIGIN/callback` |
//! | `STORE` | where sessions are: a folder, `postgres://…` or `redis://…` |
//! | `COOKIE_KEY` | at least 64 random characters, from `openssl rand -hex 64`; another key signs all users out |
//! | `ORIGIN` | the public address, such as `https://example.com`; defaults to `http://LISTEN` |
//! | `LISTEN` | the address to listen on; defaults to `127.0.0.1:8080` |

mod app;
mod pages;

use std::{env, error::Error, process};

use axum_extra::extract::cookie::Key;
use deadpool_postgres::{Manager, Pool, tokio_postgres::NoTls};
use dropbox_sign_oauth_hyper::{
    App, Blocking, FileStore, PostgresStore, RedirectUri, RedisStore, Sessions, Transport,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use tempfile::TempDir;
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() {
    if let Err(failure) = run().await {
        pages::log(&*failure);
        process::exit(1);
    }
}

async fn run() -> Result<(), Failure> {
    let listen = variable("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into());
    let listener = TcpListener::bind(&listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let origin = variable("ORIGIN").unwrap_or_else(|_| format!("http://{address}"));
    let origin = origin.trim_end_matches('/');

    // The sandbox and the folder are removed when they are dropped.
    let (sandbox, folder);
    let (app, key, store);
    if let Ok(client_id) = variable("DROPBOX_SIGN_CLIENT_ID") {
        app = App::new(&client_id, &variable("DROPBOX_SIGN_CLIENT_SECRET")?)?;
        key = Key::try_from(variable("COOKIE_KEY")?.as_bytes())?;
        store = variable("STORE")?;
    } else {
        sandbox = Sandbox::builder().accounts(["ann@example.com", "bob@example.com"]).start()?;
        folder = TempDir::new()?;
        app = sandbox.app();
        key = Key::generate();
        store = variable("STORE").unwrap_or_else(|_| folder.path().display().to_string());
        println!("Sandbox of Dropbox Sign: {}", sandbox.base_url());
    }

    let sessions = open_sessions(app, &store).await?;
    let callback = RedirectUri::new(&format!("{origin}{}", app::CALLBACK))?;
    let web = app::WebApp { sessions: sessions.clone(), origin: origin.into(), callback, key };
    println!("Open {origin} (stop with Ctrl-C)");
    let server = axum::serve(listener, app::router(web));
    server.with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    // Waits until new tokens are stored.
    Ok(sessions.flush().await?)
}

/// Opens the sessions in a folder, in PostgreSQL or in Redis.
async fn open_sessions(app: App, store: &str) -> Result<Sessions, Failure> {
    let transport = Transport::new()?;
    Ok(match store.split_once("://") {
        Some(("postgres" | "postgresql", _)) => {
            let manager = Manager::new(store.parse()?, NoTls);
            let store = PostgresStore::new(Pool::builder(manager).build()?);
            store.create_table().await?;
            Sessions::new(app, transport, store)
        }
        Some(("redis", _)) => {
            let client = redis::Client::open(store)?;
            let store = RedisStore::new(client.get_connection_manager().await?);
            store.check_async().await?;
            Sessions::new(app, transport, store)
        }
        _ => Sessions::new(app, transport, Blocking::new(FileStore::open(store)?)),
    })
}

fn variable(name: &str) -> Result<String, Failure> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}
