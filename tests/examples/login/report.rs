//! What a person sees: numbered steps, without secrets.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, Stdout, Write as _},
    time::Duration,
};

use console::style;
use dropbox_sign_oauth::{Expiry, Operation, RateLimit};
use http::header::AUTHORIZATION;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    store::{READABLE_BY, Store},
    time::{in_words, now},
};

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Tells a person what happens, on standard output.
pub(crate) struct Report {
    out: Stdout,
    steps: u32,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            out: io::stdout(),
            steps: 0,
        }
    }

    pub(crate) fn help(&self, text: &str) -> Result<(), Failure> {
        self.print(text)
    }

    pub(crate) fn begin(&self, title: impl Display) -> Result<(), Failure> {
        let title = OneLine(title).to_string();
        self.print(format_args!("{}\n", style(title).bold()))
    }

    pub(crate) fn end(&self, result: impl Display) -> Result<(), Failure> {
        let result = OneLine(result).to_string();
        self.print(format_args!("\n{}\n", style(result).bold()))
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.steps += 1;
        let title = format!("{}. {title}", self.steps);
        self.print(format_args!("\n{}\n", style(title).bold()))
    }

    pub(crate) fn say(&self, text: impl Display) -> Result<(), Failure> {
        self.print(format_args!("   {}\n", OneLine(text)))
    }

    /// Tells an address that is to be copied.
    pub(crate) fn link(&self, url: &str) -> Result<(), Failure> {
        self.print(format_args!("\n   {}\n", OneLine(url)))
    }

    /// Tells what goes over the wire to a server.
    pub(crate) fn sends(&self, method: &str, url: impl Display) -> Result<(), Failure> {
        self.say(format_args!("→ {method} {url}"))
    }

    /// Tells what comes back.
    pub(crate) fn gets(&self, what: impl Display) -> Result<(), Failure> {
        self.say(format_args!("← {what}"))
    }

    pub(crate) fn field(&self, name: &str, value: impl Display) -> Result<(), Failure> {
        self.say(format_args!("    {name:<13}  {value}"))
    }

    /// Tells what an operation sends: the names of its secrets, and not their values.
    pub(crate) fn sends_operation(&self, operation: &impl Operation) -> Result<(), Failure> {
        let (head, body) = operation.request().into_parts();
        let body = Zeroizing::new(body);
        self.sends(head.method.as_str(), head.uri)?;
        let authorization = head.headers.get(AUTHORIZATION);
        let scheme = authorization
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '));
        if let Some((scheme, _)) = scheme {
            self.field("authorization", format_args!("{scheme} {REDACTED}"))?;
        }
        if let Ok(Members(names)) = serde_json::from_slice(&body) {
            self.field("JSON body", names.join(", "))?;
        }
        Ok(())
    }

    /// Tells how long an access token is good.
    pub(crate) fn access_token(&self, expiry: Option<Expiry>) -> Result<(), Failure> {
        let now = now();
        let lifetime = match expiry.map(|expiry| expiry.at(now).saturating_since(now)) {
            Some(Duration::ZERO) => "expired already".into(),
            Some(lifetime) => format!("expires in {}", in_words(lifetime)),
            None => "for a time that the service did not tell".into(),
        };
        self.field("access token", format_args!("{REDACTED}, {lifetime}"))
    }

    /// Tells how many requests are left, as far as the service does.
    pub(crate) fn rate_limit(&self, rate_limit: RateLimit) -> Result<(), Failure> {
        let Some(remaining) = rate_limit.remaining else {
            return Ok(());
        };
        let limit = rate_limit.limit.map(|limit| format!(" of {limit}"));
        let reset = rate_limit.reset.map(|reset| {
            let wait = in_words(reset.saturating_since(now()));
            format!("; counted anew in {wait}")
        });
        let [limit, reset] = [limit, reset].map(Option::unwrap_or_default);
        self.field(
            "rate limit",
            format_args!("{remaining}{limit} requests left{reset}"),
        )
    }

    /// Tells where tokens were stored.
    pub(crate) fn stored(&self, store: &Store) -> Result<(), Failure> {
        let path = store.path().display();
        self.say(format_args!("Stored in {path}, readable by {READABLE_BY}."))
    }

    fn print(&self, text: impl Display) -> Result<(), Failure> {
        let mut out = self.out.lock();
        write!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
    }
}

/// The names of a JSON object's members, in their order.
struct Members(Vec<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Members(names))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Text without what could move the cursor: some of it comes from the server.
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let mut printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        printable.try_for_each(|c| f.write_char(c))
    }
}
