//! Measures the memory of sessions, and of exchanges in flight beside them.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, stdin},
    process::{Command, Stdio},
    time::Duration,
};

use dropbox_sign_oauth_benches::{
    BoxError, fixture, ours,
    table::{self, number},
};
use dropbox_sign_oauth_hyper::{MemoryStore, Session, Sessions, Transport};
use tokio::{runtime::Runtime, task::JoinSet, time::sleep};

use crate::{
    Extent,
    clients::{self, ASYNC, Exchange, Target},
    runtime,
    server::Server,
};

/// The argument that makes this program a server, with the delay of its responses in milliseconds.
///
/// It is a process of its own, because the number of sockets of a process is limited.
const SERVE: &str = "serve";

/// The connections that are opened at once: fewer than the server's queue holds.
const BATCH: u32 = 1000;

/// Runs as the server until [`compare`] ends, if that has started this process.
pub(crate) fn serve() -> Result<bool, BoxError> {
    let mut arguments = env::args().skip_while(|argument| argument != SERVE).skip(1);
    let Some(delay) = arguments.next() else {
        return Ok(false);
    };
    println!("{}", Server::start(Duration::from_millis(delay.parse()?))?.http);
    stdin().read_to_end(&mut Vec::new())?;
    Ok(true)
}

/// Prints the memory of a session, and of an exchange with each client.
pub(crate) fn compare(extent: &Extent) -> Result<(), BoxError> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    let mut all_sessions = Vec::new();
    for &count in extent.sessions {
        let (bytes, sessions) = hold_sessions(&runtime, count)?;
        rows.push([count.to_string(), number(bytes, 0)]);
        all_sessions.push(sessions);
    }
    table::print("Heap of sessions, with a store in memory", "sessions | bytes of each", rows);

    let mut server = Command::new(env::current_exe()?);
    let server = server.args([SERVE, &extent.delay.as_millis().to_string()]);
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let base = format!("http://{}", address.trim());
    let target = Target { base, root: None, refreshes: false, pooled: false };
    let mut rows = Vec::new();
    for &in_flight in extent.in_flight {
        let mut ours = None;
        for (client, exchange) in clients::all(&target)?.into_iter().take(ASYNC) {
            let bytes = measure(&runtime, &exchange, in_flight)?;
            let ratio = *ours.get_or_insert(bytes) / bytes;
            let [bytes, ratio] = [number(bytes, 0), number(ratio, 2)];
            rows.push([in_flight.to_string(), client.into(), bytes, ratio]);
        }
    }
    drop(server.stdin.take());
    server.wait()?;
    let head = "in flight | client | bytes of each | ours / it";
    table::print("Heap of exchanges, beside the sessions", head, rows);
    Ok(())
}

/// Begins sessions. Returns the bytes that one takes, and the sessions.
fn hold_sessions(runtime: &Runtime, count: u32) -> Result<(f64, Vec<Session>), BoxError> {
    let app = ours::app();
    let tokens = ours::exchange(&app, ours::code(), fixture::success())?;
    let transport = Transport::new()?;
    let mut held = Vec::new();
    let mut result = Ok(());
    let info = allocation_counter::measure(|| {
        let sessions = Sessions::new(app, transport, MemoryStore::default());
        result = runtime.block_on(async {
            for number in 0..count {
                let session = sessions.get(&format!("user-{number}"));
                session.begin(tokens.clone()).await?;
                held.push(session);
            }
            Ok::<_, BoxError>(())
        });
    });
    result?;
    Ok((f64::from(u32::try_from(info.bytes_current)?) / f64::from(count), held))
}

/// Returns the peak of allocated bytes, divided by the number of exchanges.
fn measure(runtime: &Runtime, exchange: &Exchange, in_flight: u32) -> Result<f64, BoxError> {
    // Excludes what all exchanges share.
    runtime.block_on(exchange())?;
    let mut result = Ok(());
    // The whole client runs in this thread.
    let info = allocation_counter::measure(|| {
        result = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in 1..=in_flight {
                tasks.spawn(exchange());
                if number % BATCH == 0 {
                    sleep(Duration::from_millis(100)).await;
                }
            }
            while let Some(task) = tasks.join_next().await {
                task??;
            }
            Ok::<_, BoxError>(())
        });
    });
    result?;
    Ok(f64::from(u32::try_from(info.bytes_max)?) / f64::from(in_flight))
}
