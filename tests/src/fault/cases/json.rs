//! A 200 whose tokens are right, untidy, or unusable.
//!
//! The core's unit tests have every row of the table of accepted values. Here are one or two of each
//! class, as a check that a transport passes bodies on unchanged.

use super::{Case, JSON, MALFORMED, OK, Outcome, STATE_MISMATCH, TOKENS, response, whole};

type Table = &'static [(&'static str, &'static str, &'static [Outcome])];

/// An unknown member of this depth overflows the stack of a recursive reader.
const DEPTH: usize = 7 * 1024;

pub(super) fn cases() -> Vec<Case> {
    let bytes = |name, expected, body: &[u8]| {
        let head = response("200 OK", JSON, "");
        whole(name, expected, [head.as_bytes(), body].concat())
    };
    let member = |members: &str| format!(r#"{{"access_token":"{{access_token}}",{members}}}"#);
    let members = MEMBERS
        .iter()
        .map(|&(name, members, expected)| bytes(name, expected, member(members).as_bytes()));
    let bodies =
        BODIES.iter().map(|&(name, body, expected)| bytes(name, expected, body.as_bytes()));
    let types = CONTENT_TYPES.iter();
    let types = types.map(|&(name, headers)| whole(name, OK, response("200 OK", headers, TOKENS)));
    let html = response("200 OK", "Content-Type: text/html\r\n", "<!doctype html><p>");
    let utf_16 = r#"{"access_token":"NWNiOTMx"}"#.encode_utf16();
    let utf_16: Vec<u8> = utf_16.flat_map(u16::to_be_bytes).collect();
    let nested = member(&["\"x\":", &"[".repeat(DEPTH), &"]".repeat(DEPTH)].concat());
    let others = [
        whole("html", MALFORMED, html).says("`text/html`"),
        bytes("invalid-utf-8", MALFORMED, b"{\"access_token\":\"\xff\"}"),
        bytes("utf-16", MALFORMED, &utf_16),
        bytes("nesting", OK, nested.as_bytes()),
    ];
    members.chain(bodies).chain(types).chain(others).collect()
}

/// The members of an object after a valid access token.
const MEMBERS: Table = &[
    ("token-type-lower-case", r#""token_type":"bearer""#, OK),
    ("token-type-empty", r#""token_type":"""#, OK),
    ("token-type-mac", r#""token_type":"mac""#, MALFORMED),
    ("refresh-token-null", r#""refresh_token":null"#, OK),
    ("refresh-token-empty", r#""refresh_token":"""#, OK),
    ("refresh-token-number", r#""refresh_token":1"#, MALFORMED),
    ("refresh-token-line-break", r#""refresh_token":"{refresh_token}\n""#, MALFORMED),
    ("expires-in-string", r#""expires_in":"86400""#, OK),
    ("expires-in-object", r#""expires_in":{}"#, OK),
    ("expires-in-overflow", r#""expires_in":1e999"#, OK),
    ("expires-in-nan", r#""expires_in":NaN"#, MALFORMED),
    ("state-equal", r#""state":"{state}""#, OK),
    ("state-empty", r#""state":"""#, OK),
    ("state-of-another", r#""state":"900e06e2""#, STATE_MISMATCH),
    ("state-longer", r#""state":"{state}0""#, STATE_MISMATCH),
    ("unknown-members", r#""scope":null,"a":[{"access_token":1}],"a":true"#, OK),
    ("duplicate-access-token", r#""access_token":"{access_token}""#, MALFORMED),
    ("duplicate-access-token-by-escapes", r#""\u0061ccess_token":"x""#, MALFORMED),
    ("trailing-comma", "", MALFORMED),
];

/// Whole bodies.
const BODIES: Table = &[
    ("access-token-in-escapes", r#"{"access_token":"{escaped_access_token}"}"#, OK),
    ("access-token-absent", r#"{"refresh_token":"{refresh_token}"}"#, MALFORMED),
    ("access-token-line-break", r#"{"access_token":"{access_token}\r\nX: x"}"#, MALFORMED),
    ("white-space-around", "\n { \"access_token\" :\t\"{access_token}\"\r\n} \n", OK),
    ("object-cut", r#"{"access_token":"{access_token}""#, MALFORMED),
    ("object-then-garbage", r#"{"access_token":"{access_token}"}x"#, MALFORMED),
    ("array", r#"[{"access_token":"{access_token}"}]"#, MALFORMED),
    ("byte-order-mark", "\u{feff}{\"access_token\":\"{access_token}\"}", MALFORMED),
];

/// The Content-Type of tokens, which is not judged.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("type-absent", ""),
    ("type-javascript", "Content-Type: text/javascript\r\n"),
    ("type-html", "Content-Type: text/html; charset=utf-8\r\n"),
    ("type-utf-16", "Content-Type: application/json; charset=utf-16\r\n"),
    ("type-twice", "Content-Type: application/json\r\nContent-Type: text/html\r\n"),
];
