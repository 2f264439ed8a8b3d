//! What a peer does with one connection, as data.

use std::time::Duration;

/// What a [`Peer`](super::Peer) does with one connection, step by step.
///
/// After the last step the peer reads and drops what the client still sends, until the client
/// closes: it closes only where a step says so.
///
/// The bytes to send are templates, see [`render`](Self::render).
#[derive(Clone, Debug, Default)]
#[must_use = "a script does nothing until a peer plays it"]
pub struct Script {
    pub(super) http2: bool,
    pub(super) without_tls: bool,
    pub(super) lifetime: Option<usize>,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    ReadRequest,
    ReadHead,
    Read(usize),
    ReadSome,
    Expect(Vec<u8>),
    StartTls,
    SendBelowTls(Vec<u8>),
    Send { bytes: Vec<u8>, chunk: usize, pause: Duration, repeat: bool },
    Respond(fn(&[u8]) -> Vec<u8>),
    Pause(Duration),
    Close,
    Fin,
    Reset,
}

impl Script {
    /// Creates a script for an HTTP/1 connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a script for an HTTP/2 connection.
    pub fn http2() -> Self {
        Self { http2: true, ..Self::default() }
    }

    /// Begins without TLS, also if the peer has a configuration for it.
    pub fn without_tls(self) -> Self {
        Self { without_tls: true, ..self }
    }

    /// Resets the connection when it has transferred this many bytes, in either direction.
    pub fn dies_after(self, bytes: usize) -> Self {
        Self { lifetime: Some(bytes), ..self }
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Reads until one more request is complete.
    pub fn read_request(self) -> Self {
        self.then(Step::ReadRequest)
    }

    /// Reads until the head of one more request is complete.
    pub fn read_head(self) -> Self {
        self.then(Step::ReadHead)
    }

    /// Reads exactly `bytes` bytes.
    pub fn read(self, bytes: usize) -> Self {
        self.then(Step::Read(bytes))
    }

    /// Reads once, whatever has arrived, and does not parse it as HTTP.
    pub fn read_some(self) -> Self {
        self.then(Step::ReadSome)
    }

    /// Closes unless the last head, or what [`read_some`](Self::read_some) read, contains `text`.
    pub fn expect(self, text: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Expect(text.into()))
    }

    /// Starts TLS on the open connection, as a server behind a proxy does.
    pub fn start_tls(self) -> Self {
        self.then(Step::StartTls)
    }

    /// Sends bytes that TLS does not encrypt.
    pub fn send_below_tls(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::SendBelowTls(bytes.into()))
    }

    /// Sends bytes in one write.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send_in_chunks(bytes, usize::MAX, Duration::ZERO)
    }

    /// Sends bytes in writes of at most `chunk`, with a pause after each.
    pub fn send_in_chunks(self, bytes: impl Into<Vec<u8>>, chunk: usize, pause: Duration) -> Self {
        self.then(Step::Send { bytes: bytes.into(), chunk, pause, repeat: false })
    }

    /// Sends bytes repeatedly, with a pause after each time, until the client closes.
    pub fn repeat(self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.then(Step::Send { bytes: bytes.into(), chunk: usize::MAX, pause, repeat: true })
    }

    /// Sends what `response` returns for the body of the last request.
    pub fn respond(self, response: fn(&[u8]) -> Vec<u8>) -> Self {
        self.then(Step::Respond(response))
    }

    /// Does nothing for a time.
    pub fn pause(self, pause: Duration) -> Self {
        self.then(Step::Pause(pause))
    }

    /// Closes regularly: `close_notify` where there is TLS, then FIN.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Closes in TCP alone, by FIN.
    pub fn fin(self) -> Self {
        self.then(Step::Fin)
    }

    /// Resets the connection, by RST.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Returns whether one of the sends contains `text`.
    pub(crate) fn sends(&self, text: &str) -> bool {
        let contains = |bytes: &[u8]| find(bytes, text.as_bytes()).is_some();
        self.steps.iter().any(|step| matches!(step, Step::Send { bytes, .. } if contains(bytes)))
    }

    /// Fills in the templates of bytes to send and to expect: `{name}` becomes the value of that
    /// name, and `{length}` the number of bytes after the next empty line. Other braces are kept.
    pub fn render(mut self, values: &Values) -> Self {
        for step in &mut self.steps {
            if let Step::Send { bytes, .. } | Step::Expect(bytes) = step {
                *bytes = values.render(bytes);
            }
        }
        self
    }
}

/// The values of a script's templates.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(Vec<u8>, String)>);

impl Values {
    /// Creates an empty set of values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of `{name}`. It must not contain the name of another value in braces.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((format!("{{{name}}}").into(), value.into()));
        self
    }

    /// Fills in one template, as [`Script::render`] does.
    pub fn render(&self, template: &[u8]) -> Vec<u8> {
        const LENGTH: &[u8] = b"{length}";
        let mut filled = template.to_vec();
        for (name, value) in &self.0 {
            replace(&mut filled, name, |_| value.clone());
        }
        replace(&mut filled, LENGTH, |rest| {
            let ends = [&b"\r\n\r\n"[..], b"\n\n"].into_iter();
            let mut heads = ends.filter_map(|end| Some(find(rest, end)? + end.len()));
            heads.next().map_or(0, |head| rest.len() - head).to_string()
        });
        filled
    }
}

/// Replaces every `from` by what `to` returns for the bytes after it.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: impl Fn(&[u8]) -> String) {
    let mut begin = 0;
    while let Some(start) = find(&bytes[begin..], from) {
        let (start, end) = (begin + start, begin + start + from.len());
        let value = to(&bytes[end..]).into_bytes();
        begin = start + value.len();
        bytes.splice(start..end, value);
    }
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
