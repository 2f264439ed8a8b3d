//! Idle connections, for requests that may be sent again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::Uri;
use hyper::rt::Executor;
use tokio::{runtime::Handle, sync::watch, time::Instant};

use super::connection::{Connection, OwnedTasks};

/// How often connections that have been idle for as long are closed, so that each is idle for at
/// most twice as long.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// The most connections that are kept; the oldest is closed for one more.
const MAX_IDLE: usize = 32;

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// Dropped with the pool, which ends its task.
    owner: watch::Sender<()>,
}

#[derive(Default)]
struct Idle {
    /// The oldest first.
    connections: Vec<(Instant, Uri, Connection)>,
    /// The task that closes connections is running.
    expiring: bool,
}

impl Pool {
    /// The connection to `origin` that was used last, if it accepts a request.
    pub(super) async fn take(&self, origin: &Uri) -> Option<Connection> {
        let mut connection = {
            let idle = &mut self.idle().connections;
            idle.retain(|(_, _, connection)| !connection.is_closed());
            let position = idle.iter().rposition(|(_, it, _)| it == origin)?;
            idle.remove(position).2
        };
        connection.is_ready().await.then_some(connection)
    }

    pub(super) fn put(self: &Arc<Self>, origin: Uri, connection: Connection) {
        // Without a runtime, nothing could close it later.
        if connection.is_closed() || Handle::try_current().is_err() {
            return;
        }
        let mut idle = self.idle();
        if idle.connections.len() >= MAX_IDLE {
            idle.connections.remove(0);
        }
        idle.connections.push((Instant::now(), origin, connection));
        if !idle.expiring {
            idle.expiring = true;
            OwnedTasks(self.owner.subscribe()).execute(expire(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes idle connections until none is left.
async fn expire(pool: Weak<Pool>) {
    let expiring = Expiring(pool);
    loop {
        tokio::time::sleep(IDLE_TIME).await;
        let Some(pool) = expiring.0.upgrade() else {
            return;
        };
        let mut idle = pool.idle();
        idle.connections.retain(|(since, ..)| since.elapsed() < IDLE_TIME);
        if idle.connections.is_empty() {
            idle.expiring = false;
            return;
        }
    }
}

/// Lets the next connection start the task again, also if this one ends with its runtime.
struct Expiring(Weak<Pool>);

impl Drop for Expiring {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.idle().expiring = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::{io::DuplexStream, time};

    use super::*;

    fn origin() -> Uri {
        Uri::from_static("https://host.invalid/")
    }

    async fn put(pool: &Arc<Pool>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1);
        let connection = Connection::open(Box::new(TokioIo::new(client)), false).await.unwrap();
        pool.put(origin(), connection);
        server
    }

    fn len(pool: &Pool) -> usize {
        pool.idle().connections.len()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_bounded_and_expire() {
        let pool = Arc::new(Pool::default());
        for _ in 0..2 {
            let mut servers = Vec::new();
            for _ in 0..=MAX_IDLE {
                servers.push(put(&pool).await);
            }
            assert_eq!(len(&pool), MAX_IDLE);
            time::sleep(IDLE_TIME / 2).await;
            servers.push(put(&pool).await);
            time::sleep(IDLE_TIME).await;
            assert_eq!(len(&pool), 1);
            time::sleep(IDLE_TIME).await;
            assert_eq!(len(&pool), 0);
        }
    }

    #[tokio::test]
    async fn a_connection_is_taken_for_its_origin_alone() {
        let pool = Arc::new(Pool::default());
        let _server = put(&pool).await;
        let other = Uri::from_static("https://other.invalid/");
        assert!(pool.take(&other).await.is_none());
        assert!(pool.take(&origin()).await.is_some());
        assert!(pool.take(&origin()).await.is_none());
    }
}
