//! Connections that record what was written to them and read from them.

use std::{fmt, io};

use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
    },
};

use crate::call::{self, Progress};

/// The longest line of a chunked body that is passed on byte by byte, in bytes. ureq refuses a
/// longer chunk size; a longer line is a trailer, after which no data follows.
const MAX_CHUNK_LINE: usize = 32;

/// Wraps finished connections.
#[derive(Debug)]
pub(crate) struct Witness;

impl<In: Transport> Connector<In> for Witness {
    type Out = Witnessed<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        call::update(|call| call.connected = true);
        Ok(chained.map(|connection| Witnessed {
            connection,
            bytewise: LazyBuffers::new(details.config.input_buffer_size(), 1),
        }))
    }
}

/// A connection that records what the call in progress writes and reads.
///
/// It passes a chunked body on one byte at a time: ureq drops the data that it has decoded if the
/// same input ends in a broken chunk, and with it a complete JSON object.
pub(crate) struct Witnessed<T> {
    connection: T,
    bytewise: LazyBuffers,
}

/// The buffers hold plain text, so they are not shown.
impl<T> fmt::Debug for Witnessed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witnessed")
    }
}

impl<T: Transport> Witnessed<T> {
    fn read(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = self.connection.buffers().input().len();
        let progress = self.connection.await_input(timeout).inspect_err(|error| {
            if let Error::Io(error) = error {
                call::update(|call| call.read_error = Some(error.kind()));
            }
        })?;
        let read = self.connection.buffers().input().len() - before;
        let Some(readable) = call::get().readable.checked_sub(read) else {
            let message = "the server sends more than a response can have";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
        };
        call::update(|call| call.readable = readable);
        if read > 0 {
            call::advance(Progress::Responded);
        }
        Ok(progress)
    }
}

impl<T: Transport> Transport for Witnessed<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        if call::get().bytewise { &mut self.bytewise } else { self.connection.buffers() }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // Recorded before the write: one that fails may have written a part.
        if amount > 0 {
            call::advance(Progress::Sent);
        }
        let result = self.connection.transmit_output(amount, timeout);
        if let Some(written) = self.connection.buffers().output().get_mut(..amount) {
            written.fill(0);
        }
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !call::get().bytewise {
            return self.read(timeout);
        }
        if self.connection.buffers().input().is_empty() && !self.read(timeout)? {
            return Ok(false);
        }
        let input = self.connection.buffers().input();
        let amount = if self.bytewise.input().len() < MAX_CHUNK_LINE { 1 } else { input.len() };
        let free = self.bytewise.input_append_buf();
        let amount = amount.min(free.len());
        if let (Some(free), Some(input)) = (free.get_mut(..amount), input.get(..amount)) {
            free.copy_from_slice(input);
        }
        self.bytewise.input_appended(amount);
        self.connection.buffers().input_consume(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.bytewise.input().is_empty()
            && self.connection.buffers().input().is_empty()
            && self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}
