//! What a server does with one connection, as data.

use std::time::Duration;

/// What a server does with one connection, step by step.
///
/// Whatever the last step is, the server then reads and drops what the client still sends, until
/// the client leaves: it does not hang up by itself unless a step says so.
///
/// The bytes that are sent are templates, see [`render`](Self::render).
#[derive(Clone, Debug, Default)]
#[must_use = "a script does nothing until a server plays it"]
pub struct Script {
    pub(super) protocol: Protocol,
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
    /// Reads until one more request is complete.
    ReadRequest,
    /// Reads until the head of one more request is complete.
    ReadHead,
    /// Reads so many bytes, and leaves the next ones where they are.
    Read(usize),
    /// Sends the bytes in writes of at most `chunk`, with a pause after each.
    Send {
        bytes: Vec<u8>,
        chunk: usize,
        pause: Duration,
    },
    /// Sends the bytes again and again, until the client leaves.
    Repeat { bytes: Vec<u8>, pause: Duration },
    /// Ends its side of the connection in TLS, if there is TLS, and in TCP.
    Close,
    /// Ends its side of the connection in TCP alone.
    Fin,
    /// Resets the connection.
    Reset,
}

impl Script {
    /// A script for an HTTP/1 connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// A script for an HTTP/2 connection.
    pub fn http2() -> Self {
        Self {
            protocol: Protocol::Http2,
            steps: Vec::new(),
        }
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Reads a whole request.
    pub fn read_request(self) -> Self {
        self.then(Step::ReadRequest)
    }

    /// Reads the head of a request, and as much of the body as comes with it.
    pub fn read_head(self) -> Self {
        self.then(Step::ReadHead)
    }

    /// Reads exactly so many bytes.
    pub fn read(self, bytes: usize) -> Self {
        self.then(Step::Read(bytes))
    }

    /// Sends bytes, in one write.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send_in_chunks(bytes, usize::MAX, Duration::ZERO)
    }

    /// Sends bytes in writes of at most `chunk`, with a pause after each.
    pub fn send_in_chunks(self, bytes: impl Into<Vec<u8>>, chunk: usize, pause: Duration) -> Self {
        self.then(Step::Send {
            bytes: bytes.into(),
            chunk,
            pause,
        })
    }

    /// Sends bytes again and again, with a pause after each time, until the client leaves.
    pub fn repeat(self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.then(Step::Repeat {
            bytes: bytes.into(),
            pause,
        })
    }

    /// Hangs up as it should be done: `close_notify` where there is TLS, then FIN.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Hangs up in TCP alone, by FIN.
    pub fn fin(self) -> Self {
        self.then(Step::Fin)
    }

    /// Resets the connection, by RST.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Whether one of its sends has all of a text.
    pub(crate) fn sends(&self, text: &str) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Send { bytes, .. } | Step::Repeat { bytes, .. } => {
                find(bytes, text.as_bytes()).is_some()
            }
            _ => false,
        })
    }

    /// Fills in the templates: `{name}` becomes the value of that name, and `{length}` the number
    /// of bytes after the next empty line. Other braces are left alone.
    pub fn render(&self, values: &Values) -> Self {
        let render = |bytes: &[u8]| values.render(bytes);
        let steps = self.steps.iter().map(|step| match step {
            Step::Send {
                bytes,
                chunk,
                pause,
            } => Step::Send {
                bytes: render(bytes),
                chunk: *chunk,
                pause: *pause,
            },
            Step::Repeat { bytes, pause } => Step::Repeat {
                bytes: render(bytes),
                pause: *pause,
            },
            other => other.clone(),
        });
        Self {
            protocol: self.protocol,
            steps: steps.collect(),
        }
    }
}

/// What stands in the places of a script's templates.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(&'static str, String)>);

impl Values {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `{name}` mean `value`.
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
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
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
