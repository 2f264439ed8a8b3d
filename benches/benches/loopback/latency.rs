//! Measures logins in a row over a network with a long round trip.

use std::{
    env, iter, mem,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use dropbox_sign_oauth_benches::{
    BoxError, ours,
    table::{self, number},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    clients::{self, Target},
    runtime,
    server::Server,
};

/// The number of logins in a row.
const LOGINS: usize = 5;

/// Prints the time of each login in a row, with `round_trip` between client and server.
pub(crate) fn compare(server: &Server, round_trip: Duration) -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let target = server.behind(listener.local_addr()?);
    let origin = server.https;
    thread::spawn(move || runtime()?.block_on(relay(listener, origin, round_trip)));

    let runtime = runtime()?;
    let mut rows = Vec::new();
    for (client, exchange) in clients::all(&target)? {
        rows.push(row(client, time(|| {}, || runtime.block_on(exchange()))?));
    }
    let (transport, app) = (clients::transport(&target)?, target.app()?);
    let other_work = || {
        runtime.block_on(async {
            transport.connect_ahead(&app);
            sleep(3 * round_trip).await;
        });
    };
    let login = || {
        runtime.block_on(transport.send(app.generate(ours::code())))?;
        Ok(())
    };
    rows.insert(1, row("– with `connect_ahead`", time(other_work, login)?));
    if let Some(times) = python_sdk(&target)? {
        rows.push(row("the vendor's Python SDK", times));
    }
    let title = format!("Logins in a row, {} ms a round trip", round_trip.as_millis());
    table::print(&title, "client | 1st, ms | 2nd | 3rd | 4th | 5th", rows);
    Ok(())
}

/// Returns the milliseconds that each of the logins takes, without the work before it.
fn time(before: impl Fn(), login: impl Fn() -> Result<(), BoxError>) -> Result<Vec<f64>, BoxError> {
    let login = |_| {
        before();
        let start = Instant::now();
        login()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    (0..LOGINS).map(login).collect()
}

fn row(client: &str, times: Vec<f64>) -> Vec<String> {
    let times = times.into_iter().map(|time| number(time, 0));
    iter::once(client.to_owned()).chain(times).collect()
}

/// Forwards connections to `server`, and charges them the round trips of a real network.
///
/// A byte takes half a round trip. Loopback connects at once, so the first bytes of a client wait
/// for another round trip, which TCP's handshake would have taken.
async fn relay(
    listener: TcpListener,
    server: SocketAddr,
    round_trip: Duration,
) -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let accepted = Instant::now();
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let delay = round_trip / 2;
        tokio::spawn(forward(from_client, to_server, accepted + round_trip, delay));
        tokio::spawn(forward(from_server, to_client, accepted, delay));
    }
}

/// Forwards each byte after `delay`, as if none had been sent before `connected`.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    connected: Instant,
    delay: Duration,
) -> Result<(), BoxError> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let read = async move {
        let mut bytes = Vec::new();
        while from.read_buf(&mut bytes).await? > 0 {
            sender.send((Instant::now().max(connected) + delay, mem::take(&mut bytes)))?;
        }
        Ok(())
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(drop)
}

/// Returns the times of the vendor's Python SDK, if it is installed as for the test `vendor_sdks`.
fn python_sdk(target: &Target) -> Result<Option<Vec<f64>>, BoxError> {
    let sdks = env::var_os("VENDOR_SDKS").map(PathBuf::from);
    let python = sdks.map(|sdks| sdks.join("python/bin/python"));
    let Some(python) = python.filter(|python| python.exists()) else {
        return Ok(None);
    };
    let mut python = Command::new(python);
    let python = python.args(["-c", include_str!("latency.py"), &target.base]);
    let output = python.env("NO_PROXY", "*").output()?.stdout;
    let times = str::from_utf8(&output)?.split_whitespace().map(str::parse);
    Ok(Some(times.collect::<Result<_, _>>()?))
}
