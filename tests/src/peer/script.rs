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
    pub(super) protocol: Protocol,
    pub(super) without_tls: bool,
    pub(super) lifetime: Option<usize>,
    pub(super) steps: Vec<Step>,
}

/// How the bytes of a client are counted as requests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Protocol {
    #[default]
    Http1,
    Http2,
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
    Send { bytes: Vec<u8>, chunk: usize, pause: Duration },
    Respond(fn(&[u8]) -> Vec<u8>),
    Repeat { bytes: Vec<u8>, pause: Duration },
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
        Self { protocol: Protocol::Http2, ..Self::default() }
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
        self.then(Step::Send { bytes: bytes.into(), chunk, pause })
    }

    /// Sends what `response` returns for the body of the last request.
    pub fn respond(self, response: fn(&[u8]) -> Vec<u8>) -> Self {
        self.then(Step::Respond(response))
    }

    /// Sends bytes repeatedly, with a pause after each time, until the client closes.
    pub fn repeat(self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.then(Step::Repeat { bytes: bytes.into(), pause })
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
        self.steps.iter().any(|step| match step {
            Step::Send { bytes, .. } | Step::Repeat { bytes, .. } => {
                find(bytes, text.as_bytes()).is_some()
            }
            _ => false,
        })
    }

    /// Fills in the templates of bytes to send and to expect: `{name}` becomes the value of that name, and `{length}` the number
    /// of bytes after the next empty line. Other braces are kept.
    pub fn render(&self, values: &Values) -> Self {
        let mut rendered = self.clone();
        for step in &mut rendered.steps {
            if let Step::Send { bytes, .. } | Step::Repeat { bytes, .. } | Step::Expect(bytes) =
                step
            {
                *bytes = values.render(bytes);
            }
        }
        rendered
    }
}

/// The values of a script's templates.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(&'static str, String)>);

impl Values {
    /// Creates an empty set of values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of `{name}`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Fills in one template, as [`Script::render`] does.
    #[must_use]
    pub fn render(&self, template: &[u8]) -> Vec<u8> {
        let mut filled = self.fill_in(template);
        while let Some(start) = find(&filled, LENGTH) {
            let end = start + LENGTH.len();
            let rest = &filled[end..];
            let head = [&b"\r\n\r\n"[..], b"\n\n"]
                .into_iter()
                .find_map(|line| Some(find(rest, line)? + line.len()));
            let length = rest.len() - head.unwrap_or(rest.len());
            filled.splice(start..end, length.to_string().into_bytes());
        }
        filled
    }

    /// Replaces every `{name}` by its value.
    fn fill_in(&self, template: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(template.len());
        let mut rest = template;
        while let [first, others @ ..] = rest {
            let known = self.0.iter().find_map(|(name, value)| {
                let after_name = others.strip_prefix(name.as_bytes())?;
                Some((value, after_name.strip_prefix(b"}")?))
            });
            match known {
                Some((value, after)) if *first == b'{' => {
                    filled.extend_from_slice(value.as_bytes());
                    rest = after;
                }
                _ => {
                    filled.push(*first);
                    rest = others;
                }
            }
        }
        filled
    }
}

const LENGTH: &[u8] = b"{length}";

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_templates() {
        let values = Values::new().with("a", "1").with("b", "{a}");
        for (template, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("{a}", "1"),
            ("<{a}{b}>", "<1{a}>"),
            (r#"{"a":"{a}"}"#, r#"{"a":"1"}"#),
            ("{{a}} {c} {", "{1} {c} {"),
            ("no head: {length}", "no head: 0"),
            ("{length}\r\n\r\n{a}\r\n\r\n", "5\r\n\r\n1\r\n\r\n"),
            ("{length}0\n\n12", "20\n\n12"),
            ("\r\n\r\n{length}\r\n\r\n123", "\r\n\r\n3\r\n\r\n123"),
        ] {
            let rendered = values.render(template.as_bytes());
            assert_eq!(String::from_utf8(rendered).unwrap(), filled);
        }
    }
}
