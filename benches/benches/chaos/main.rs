//! A fleet under chaos: 8 processes share the sessions of 50 users in a real database, whose
//! connections are cut, and which is killed, started and paused, while the processes are killed too.
//!
//! ```text
//! cargo bench -p dropbox-sign-oauth-benches --bench chaos -- \
//!     postgres|redis hyper|ureq [SECONDS [SEED]] [without-kills]
//! ```
//!
//! The service issues tokens of 20 seconds, replaces the refresh token at each refresh, and revokes
//! all tokens of a user when a replaced one is used. A user whose tokens are revoked is lost, and the
//! table says why.

mod controller;
mod service;
mod worker;

use std::{env, time::Duration};

use dropbox_sign_oauth_benches::BoxError;
use dropbox_sign_oauth_testkit::store::server::Kind;

use crate::{
    controller::{Options, run},
    worker::Worker,
};

const USERS: u64 = 50;

/// The key of a user's session.
fn key(user: u64) -> String {
    format!("user-{user}")
}

fn main() -> Result<(), BoxError> {
    let is_argument = |it: &String| it != "--bench";
    let mut arguments: Vec<_> = env::args().skip(1).filter(is_argument).collect();
    let database = |name: &str| match name {
        "postgres" => Ok(Kind::Postgres),
        "redis" => Ok(Kind::Redis),
        _ => Err("the database is postgres or redis"),
    };
    if let [name, database_name, adapter, url, service, seed] = &arguments[..] {
        let (database, seed) = (database(database_name)?, seed.parse()?);
        return Worker { name, database, url, service, seed }.run(adapter);
    }
    let kills = arguments.pop_if(|last| last == "without-kills").is_none();
    let [database_name, adapter, numbers @ ..] = &arguments[..] else {
        return Err("a database and an adapter are missing".into());
    };
    if !["hyper", "ureq"].contains(&adapter.as_str()) {
        return Err("the adapter is hyper or ureq".into());
    }
    let number =
        |index, default| numbers.get::<usize>(index).map_or(Ok(default), |it: &String| it.parse());
    run(&Options {
        database: database(database_name)?,
        database_name,
        adapter,
        duration: Duration::from_secs(number(0, 60)?),
        seed: number(1, 1)?,
        kills,
    })
}
