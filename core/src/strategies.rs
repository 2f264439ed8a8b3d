//! Strategies for property tests: the inputs of honest and hostile servers, browsers and callers.
//!
//! For programs that combine this crate with their own HTTP stack:
//!
//! ```
//! use dropbox_sign_oauth::{Operation, strategies};
//! use proptest::prelude::*;
//!
//! proptest!(|(exchange in strategies::exchange(), response in strategies::hostile_response())| {
//!     // Every response is a result or an error.
//!     let _ = exchange.operation().parse(response);
//! });
//! ```

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use proptest::{
    collection::vec as vec_of,
    option,
    prelude::*,
    sample::{Index, select},
    string::string_regex,
};

use crate::{
    app::App, authorize::callback::AuthorizationCode, operation::token_generate::TokenGenerate,
    state::State,
};

/// Client ids, secrets, codes, states and tokens: visible ASCII, long enough not to occur elsewhere
/// by chance.
pub fn credential() -> impl Strategy<Value = String> {
    matching("[!-~]{12,48}")
}

/// A code exchange and its parts. `Debug` shows the generated secrets, so that failures are
/// readable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// The app.
    pub app: App,
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// The code of the callback.
    pub code: String,
    /// The state of the browser session.
    pub state: State,
}

impl Exchange {
    /// Returns the operation that exchanges the code.
    #[expect(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "the code is generated to be valid"
    )]
    pub fn operation(&self) -> TokenGenerate {
        let code = AuthorizationCode::new(&self.code, self.state.clone());
        self.app.generate(code.expect("a valid code"))
    }

    /// Returns the secrets, which no output may contain.
    #[must_use]
    pub fn secrets(&self) -> [&str; 3] {
        [&self.client_secret, &self.code, self.state.as_str()]
    }
}

/// Code exchanges of apps with any credentials.
pub fn exchange() -> impl Strategy<Value = Exchange> {
    let credentials = (credential(), credential(), credential(), state());
    credentials.prop_filter_map("a valid app", |(client_id, client_secret, code, state)| {
        let app = App::new(&client_id, &client_secret).ok()?;
        Some(Exchange { app, client_id, client_secret, code, state })
    })
}

/// States from entropy, and stored states in other alphabets.
pub fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(State::from_entropy),
        credential().prop_filter_map("a valid state", |text| State::from_stored(&text).ok()),
    ]
}

/// Callback queries with these parameters: in any order, with superfluous encoding and unknown
/// parameters.
pub fn callback_query(parameters: Vec<(String, String)>) -> impl Strategy<Value = String> {
    let others = vec_of((matching("[a-b_]{1,3}"), matching("\\PC{0,8}")), 0..3);
    others
        .prop_flat_map(move |others| Just([parameters.clone(), others].concat()).prop_shuffle())
        .prop_flat_map(|pairs| {
            let pair = |(name, value)| (percent_encoded(name), percent_encoded(value));
            let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
            pairs
        })
        .prop_map(|pairs| join(pairs, "&", |(name, value)| format!("{name}={value}")))
}

/// Hostile callback queries: missing, duplicate, empty and broken parameters.
pub fn hostile_query() -> impl Strategy<Value = String> {
    let name = select(vec!["code", "state", "error", "error_description", "c%6Fde", ""]);
    let value = prop_oneof![matching("[!-~]{0,9}"), matching(".{0,9}"), Just("%".to_string())];
    let pairs = vec_of((name, select(vec!["=", ""]), value), 0..6).prop_map(|pairs| {
        join(pairs, "&", |(name, equals, value)| format!("{name}{equals}{value}"))
    });
    prop_oneof![pairs, matching(".{0,64}")]
}

/// The contents of an honest token response.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tokens {
    /// `access_token`.
    pub access_token: String,
    /// `refresh_token`, if there is one.
    pub refresh_token: Option<String>,
    /// `expires_in` in seconds, if there is one.
    pub expires_in: Option<u32>,
}

/// Honest token responses to a request with `state`: members in any order, with any spacing and
/// escaping, and unknown members.
pub fn token_response(state: &State) -> impl Strategy<Value = (Tokens, Response<Vec<u8>>)> + use<> {
    let state = state.as_str().to_string();
    let expires_in = option::of(0..=86_400_u32);
    let tokens = (credential(), option::of(credential()), expires_in, any::<bool>());
    tokens.prop_flat_map(move |(access_token, refresh_token, expires_in, echo)| {
        let mut members = vec![
            member("access_token", json_string(access_token.clone())),
            member("token_type", json_string("Bearer".to_string())),
        ];
        if echo {
            members.push(member("state", json_string(state.clone())));
        }
        if let Some(refresh_token) = &refresh_token {
            members.push(member("refresh_token", json_string(refresh_token.clone())));
        }
        if let Some(seconds) = expires_in {
            let forms =
                vec![format!("{seconds}"), format!("\"{seconds}\""), format!("{seconds}.0")];
            members.push(member("expires_in", select(forms).boxed()));
        }
        let tokens = Tokens { access_token, refresh_token, expires_in };
        let status = select(vec![StatusCode::OK, StatusCode::CREATED]);
        (status, json_object(members)).prop_map(move |(status, body)| {
            let mut response = Response::new(body.into_bytes());
            *response.status_mut() = status;
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            (tokens.clone(), response)
        })
    })
}

/// Responses of any status, with any headers and any body.
pub fn hostile_response() -> impl Strategy<Value = Response<Vec<u8>>> {
    hostile_response_with(Vec::new())
}

/// As [`hostile_response`], from a server that often echoes `words`, such as the secrets of the
/// request.
pub fn hostile_response_with(words: Vec<String>) -> impl Strategy<Value = Response<Vec<u8>>> {
    let status =
        prop_oneof![select(vec![200_u16, 201, 400, 401, 429, 500, 204, 304, 307]), 100..=999_u16,];
    (status, hostile_headers(words.clone()), hostile_body(words)).prop_map(
        |(status, headers, body)| {
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            *response.headers_mut() = headers;
            response
        },
    )
}

/// The same bytes in chunks of any size, some of them empty.
pub fn chunks(bytes: Vec<u8>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = bytes.len();
    vec_of(0..=len, 0..8).prop_map(move |mut cuts| {
        cuts.extend([0, len]);
        cuts.sort_unstable();
        cuts.iter()
            .zip(cuts.iter().skip(1))
            .map(|(from, to)| bytes.get(*from..*to).unwrap_or_default().to_vec())
            .collect()
    })
}

fn hostile_headers(words: Vec<String>) -> impl Strategy<Value = HeaderMap> {
    let name = select(vec![
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::LOCATION,
        header::RETRY_AFTER,
        HeaderName::from_static("x-ratelimit-limit"),
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderName::from_static("x-ratelimit-reset"),
    ]);
    let likely = select(vec![
        "application/json",
        "text/html; charset=utf-8",
        "gzip",
        "identity",
        "30",
        "99999999999999999999999999",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "https://evil.example/",
    ]);
    let value = prop_oneof![
        4 => likely.prop_map(String::from),
        1 => matching("[ -~]{0,24}"),
        1 => word(words).prop_map(|word| format!("https://evil.example/{word}?{word}")),
    ];
    vec_of((name, value), 0..5).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs.filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
    })
}

fn hostile_body(words: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "access_token",
        "token_type",
        "refresh_token",
        "expires_in",
        "state",
        "error",
        "error_description",
        "error_name",
        "error_msg",
        "error_path",
        "account",
        "account_id",
        "email_address",
    ];
    let said = words.clone();
    let value = prop_oneof![
        json_value(),
        word(words).prop_flat_map(json_string),
        select(names.clone()).prop_flat_map(move |name| json_object(vec![member(
            name,
            word(said.clone()).prop_flat_map(json_string).boxed()
        )])),
    ];
    let member = (select(names), value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let object = vec_of(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")));
    let changed = (object.clone(), any::<Index>(), option::of(any::<u8>())).prop_map(
        |(object, index, byte)| {
            let mut bytes = object.into_bytes();
            let at = index.index(bytes.len());
            // Overwrites a byte, or truncates the body.
            match byte {
                Some(byte) => bytes.get_mut(at).into_iter().for_each(|target| *target = byte),
                None => bytes.truncate(at),
            }
            bytes
        },
    );
    prop_oneof![
        4 => object.prop_map(String::into_bytes),
        2 => changed,
        1 => vec_of(any::<u8>(), 0..64),
        1 => Just("[".repeat(4096).into_bytes()),
    ]
}

/// One of `words` or a random one.
fn word(words: Vec<String>) -> BoxedStrategy<String> {
    if words.is_empty() {
        credential().boxed()
    } else {
        prop_oneof![3 => select(words), 1 => matching(".{0,16}")].boxed()
    }
}

type Member = (String, BoxedStrategy<String>);

fn member(name: &str, value: BoxedStrategy<String>) -> Member {
    (name.to_string(), value)
}

/// An object with these members in any order, with any spacing and escaping, and unknown members.
fn json_object(members: Vec<Member>) -> BoxedStrategy<String> {
    let unknown = (matching("[x-z]{1,4}"), json_value());
    let unknown = vec_of(unknown.prop_map(|(name, value)| (name, Just(value).boxed())), 0..3);
    unknown
        .prop_flat_map(move |unknown| Just([members.clone(), unknown].concat()).prop_shuffle())
        .prop_flat_map(|members| {
            let member = |(name, value)| (space(), json_string(name), space(), value);
            let members: Vec<_> = members.into_iter().map(member).collect();
            members
        })
        .prop_map(|members| {
            let member = |(a, name, b, value)| format!("{a}{name}{b}:{a}{value}{b}");
            format!("{{{}}}", join(members, ",", member))
        })
        .boxed()
}

/// A shallow JSON value.
fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "-0.5", "1e999", "86400", "\"\\ud800\""])
            .prop_map(String::from),
        matching("[ -~&&[^\"\\\\]]{0,8}").prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec_of(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            inner.prop_map(|value| format!("{{\"access_token\":{value}}}")),
        ]
    })
}

/// A text as a JSON string, with each character escaped or not.
fn json_string(text: String) -> BoxedStrategy<String> {
    vec_of(any::<bool>(), text.chars().count())
        .prop_map(move |escaped| {
            let characters = text.chars().zip(&escaped);
            let inner: String = characters.map(|(c, escaped)| json_char(c, *escaped)).collect();
            format!("\"{inner}\"")
        })
        .boxed()
}

fn json_char(c: char, escaped: bool) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        '/' if escaped => "\\/".to_string(),
        // Characters beyond the basic multilingual plane stay unescaped.
        _ if (escaped || c.is_control()) && c.len_utf16() == 1 => {
            format!("\\u{:04x}", u32::from(c))
        }
        _ => c.to_string(),
    }
}

fn percent_encoded(text: String) -> BoxedStrategy<String> {
    vec_of(any::<bool>(), text.len())
        .prop_map(move |encoded| {
            let bytes = text.bytes().zip(&encoded);
            let byte = |(byte, encoded): (u8, &bool)| match byte {
                _ if !encoded && byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            bytes.map(byte).collect()
        })
        .boxed()
}

fn join<T>(parts: Vec<T>, separator: &str, text: impl Fn(T) -> String) -> String {
    let texts: Vec<_> = parts.into_iter().map(text).collect();
    texts.join(separator)
}

fn space() -> BoxedStrategy<String> {
    matching("[ \t\r\n]{0,2}").boxed()
}

#[expect(clippy::expect_used, reason = "the patterns are this file's own constants")]
fn matching(pattern: &'static str) -> impl Strategy<Value = String> {
    string_regex(pattern).expect("a valid pattern")
}
