//! What is known about the call that this thread is making: by when it must be connected, whether
//! anything of its request has been written, and how much may still be read.
//!
//! ureq makes a call on the caller's thread from its start to its end, and a kept connection knows
//! nothing of the call that uses it, so the facts lie in thread-locals.

use std::{
    cell::Cell,
    fmt, io,
    time::{Duration, Instant},
};

use ureq::{
    Error, Timeout,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport, time,
    },
};

thread_local! {
    static CONNECT_BY: Cell<Option<Instant>> = const { Cell::new(None) };
    static WRITTEN: Cell<bool> = const { Cell::new(false) };
    static READABLE: Cell<usize> = const { Cell::new(0) };
}

/// Begins a call, which must be connected within `connect_timeout`, and may read `readable` bytes:
/// ureq bounds neither interim responses nor trailers.
pub(crate) fn begin(connect_timeout: Duration, readable: usize) {
    CONNECT_BY.set(Instant::now().checked_add(connect_timeout));
    WRITTEN.set(false);
    READABLE.set(readable);
}

/// Whether anything of this call's request has been handed to a connection.
pub(crate) fn has_written() -> bool {
    WRITTEN.get()
}

/// How much of the time for connecting is left, of which name resolution and TCP may have taken
/// their part.
pub(crate) fn connect_budget(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let Some(connect_by) = CONNECT_BY.get() {
        let left = connect_by.saturating_duration_since(Instant::now());
        let left = time::Duration::Exact(left);
        if left < timeout.after {
            timeout.after = left;
            timeout.reason = Timeout::Connect;
        }
    }
    timeout
}

/// Makes TCP connections within what is left of the time for connecting.
#[derive(Debug)]
pub(crate) struct BudgetedTcp;

impl<In: Transport> Connector<In> for BudgetedTcp {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let timeout = connect_budget(details);
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        let details = ConnectionDetails {
            timeout,
            now: (details.current_time)(),
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        TcpConnector::default().connect(&details, chained)
    }
}

/// Wraps a finished connection, and notes when something is written to it.
#[derive(Debug)]
pub(crate) struct Witness;

impl<In: Transport> Connector<In> for Witness {
    type Out = Witnessed<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(Witnessed))
    }
}

pub(crate) struct Witnessed<T>(T);

/// The buffers hold plain text, so they are not shown.
impl<T> fmt::Debug for Witnessed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witnessed")
    }
}

impl<T: Transport> Transport for Witnessed<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // Noted before it happens: a write that fails may have written some.
        WRITTEN.set(WRITTEN.get() || amount > 0);
        let result = self.0.transmit_output(amount, timeout);
        if let Some(written) = self.0.buffers().output().get_mut(..amount) {
            written.fill(0);
        }
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = self.0.buffers().input().len();
        let progress = self.0.await_input(timeout)?;
        let read = self.0.buffers().input().len().saturating_sub(before);
        let Some(readable) = READABLE.get().checked_sub(read) else {
            let message = "the server sends more than a response can be";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
        };
        READABLE.set(readable);
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
