//! A 200 whose tokens are right, untidy, or not to be had.

use super::{
    Case, Group, JSON, MALFORMED, OK, Outcome, STATE_MISMATCH, TOKENS, answered, response,
};

const MALFORMED_OR_OK: &[Outcome] = &[Outcome::Malformed, Outcome::Ok];

type Table = &'static [(&'static str, &'static str, &'static [Outcome])];

pub(super) fn cases() -> Vec<Case> {
    let case = |name, headers, body: &[u8], expected| {
        let head = response("200 OK", headers, "");
        answered(
            Group::Json,
            name,
            [head.as_bytes(), body].concat(),
            expected,
        )
    };
    let beside_a_token = BESIDE_AN_ACCESS_TOKEN
        .iter()
        .map(|(name, members, expected)| {
            let body = format!(r#"{{"access_token":"{{access_token}}",{members}}}"#);
            case(name, JSON, body.as_bytes(), expected)
        });
    let bodies = BODIES
        .iter()
        .map(|(name, body, expected)| case(name, JSON, body.as_bytes(), expected));
    let types = CONTENT_TYPES
        .iter()
        .map(|(name, headers, expected)| case(name, headers, TOKENS.as_bytes(), expected));
    let not_utf8 = not_utf8().map(|(name, body)| case(name, JSON, &body, MALFORMED));
    let nested = case("nesting", JSON, nested().as_bytes(), MALFORMED_OR_OK);
    beside_a_token
        .chain(bodies)
        .chain(types)
        .chain(not_utf8)
        .chain([nested])
        .collect()
}

/// The members of an object after a right access token.
const BESIDE_AN_ACCESS_TOKEN: Table = &[
    ("token-type-in-lower-case", r#""token_type":"bearer""#, OK),
    ("token-type-in-capitals", r#""token_type":"BEARER""#, OK),
    ("token-type-null", r#""token_type":null"#, OK),
    ("token-type-mac", r#""token_type":"mac""#, MALFORMED),
    ("token-type-empty", r#""token_type":"""#, MALFORMED),
    ("token-type-number", r#""token_type":1"#, MALFORMED),
    (
        "token-type-twice",
        r#""token_type":"Bearer","token_type":"Bearer""#,
        MALFORMED,
    ),
    ("refresh-token-null", r#""refresh_token":null"#, OK),
    ("refresh-token-empty", r#""refresh_token":"""#, MALFORMED),
    ("refresh-token-number", r#""refresh_token":1"#, MALFORMED),
    (
        "refresh-token-space",
        r#""refresh_token":"{refresh_token} x""#,
        MALFORMED,
    ),
    (
        "refresh-token-twice",
        r#""refresh_token":"{refresh_token}","refresh_token":"{refresh_token}""#,
        MALFORMED,
    ),
    (
        "refresh-token-line-break",
        r#""refresh_token":"{refresh_token}\n""#,
        MALFORMED,
    ),
    (
        "refresh-token-not-ascii",
        r#""refresh_token":"é""#,
        MALFORMED,
    ),
    ("expires-in-string", r#""expires_in":"86400""#, OK),
    ("expires-in-float", r#""expires_in":86400.0"#, OK),
    ("expires-in-exponent", r#""expires_in":8.64e4"#, OK),
    ("expires-in-epoch", r#""expires_in":1893456000"#, OK),
    ("expires-in-zero", r#""expires_in":0"#, OK),
    ("expires-in-negative", r#""expires_in":-1"#, OK),
    ("expires-in-fraction", r#""expires_in":1.5"#, OK),
    ("expires-in-boolean", r#""expires_in":true"#, OK),
    ("expires-in-null", r#""expires_in":null"#, OK),
    ("expires-in-words", r#""expires_in":"soon""#, OK),
    ("expires-in-object", r#""expires_in":{}"#, OK),
    (
        "expires-in-10^30",
        r#""expires_in":1000000000000000000000000000000"#,
        OK,
    ),
    ("expires-in-overflow", r#""expires_in":1e999"#, OK),
    ("expires-in-nan", r#""expires_in":NaN"#, MALFORMED),
    (
        "expires-in-twice",
        r#""expires_in":1,"expires_in":2"#,
        MALFORMED,
    ),
    ("state-equal", r#""state":"{state}""#, OK),
    ("state-null", r#""state":null"#, OK),
    ("state-of-another", r#""state":"900e06e2""#, STATE_MISMATCH),
    ("state-longer", r#""state":"{state}0""#, STATE_MISMATCH),
    ("state-empty", r#""state":"""#, STATE_MISMATCH),
    ("state-number", r#""state":1"#, STATE_MISMATCH),
    (
        "state-twice",
        r#""state":"{state}","state":"{state}""#,
        MALFORMED,
    ),
    (
        "unknown-members",
        r#""scope":null,"a":[{"access_token":1}],"":true"#,
        OK,
    ),
    ("unknown-member-twice", r#""a":1,"a":2"#, OK),
    (
        "access-token-twice",
        r#""access_token":"{access_token}""#,
        MALFORMED,
    ),
    (
        "access-token-twice-by-escapes",
        r#""\u0061ccess_token":"x""#,
        MALFORMED,
    ),
    ("trailing-comma", "", MALFORMED),
];

/// Whole bodies.
const BODIES: Table = &[
    (
        "access-token-alone",
        r#"{"access_token":"{access_token}"}"#,
        OK,
    ),
    (
        "access-token-in-escapes",
        r#"{"access_token":"{escaped_access_token}"}"#,
        OK,
    ),
    (
        "access-token-absent",
        r#"{"refresh_token":"{refresh_token}"}"#,
        MALFORMED,
    ),
    ("access-token-null", r#"{"access_token":null}"#, MALFORMED),
    ("access-token-number", r#"{"access_token":12}"#, MALFORMED),
    (
        "access-token-array",
        r#"{"access_token":["{access_token}"]}"#,
        MALFORMED,
    ),
    (
        "access-token-object",
        r#"{"access_token":{"value":"{access_token}"}}"#,
        MALFORMED,
    ),
    ("access-token-empty", r#"{"access_token":""}"#, MALFORMED),
    (
        "access-token-space",
        r#"{"access_token":"{access_token} x"}"#,
        MALFORMED,
    ),
    (
        "access-token-line-break",
        r#"{"access_token":"{access_token}\r\nX: x"}"#,
        MALFORMED,
    ),
    (
        "access-token-nul",
        r#"{"access_token":"{access_token}\u0000"}"#,
        MALFORMED,
    ),
    (
        "access-token-not-ascii",
        r#"{"access_token":"{access_token}é"}"#,
        MALFORMED,
    ),
    ("white-space-alone", " \r\n\t", MALFORMED),
    (
        "white-space-around",
        "\n { \"access_token\" :\t\"{access_token}\"\r\n} \n",
        OK,
    ),
    (
        "object-cut",
        r#"{"access_token":"{access_token}""#,
        MALFORMED,
    ),
    ("object-empty", "{}", MALFORMED),
    (
        "object-then-garbage",
        r#"{"access_token":"{access_token}"}x"#,
        MALFORMED,
    ),
    (
        "object-then-object",
        r#"{"access_token":"{access_token}"}{}"#,
        MALFORMED,
    ),
    (
        "object-then-nul",
        "{\"access_token\":\"{access_token}\"}\0",
        MALFORMED,
    ),
    ("array", r#"[{"access_token":"{access_token}"}]"#, MALFORMED),
    ("string", r#""{access_token}""#, MALFORMED),
    ("number", "12", MALFORMED),
    ("null", "null", MALFORMED),
    (
        "byte-order-mark",
        "\u{feff}{\"access_token\":\"{access_token}\"}",
        MALFORMED,
    ),
    (
        "control-character",
        "{\"access_token\":\"{access_token}\",\"x\":\"\u{1}\"}",
        MALFORMED,
    ),
    (
        "single-quotes",
        "{'access_token':'{access_token}'}",
        MALFORMED,
    ),
    (
        "form-encoded",
        "access_token={access_token}&token_type=bearer",
        MALFORMED,
    ),
    ("html", "<!doctype html><p>{access_token}", MALFORMED),
];

/// Tokens under other headers.
const CONTENT_TYPES: Table = &[
    ("type-absent", "", OK),
    ("type-in-capitals", "Content-Type: APPLICATION/JSON\r\n", OK),
    (
        "type-charset",
        "Content-Type: application/json; charset=utf-8\r\n",
        OK,
    ),
    (
        "type-charset-quoted",
        "Content-Type: application/json;Charset=\"UTF-8\"\r\n",
        OK,
    ),
    (
        "type-parameter",
        "Content-Type: application/json; v=1; x\r\n",
        OK,
    ),
    (
        "type-suffix",
        "Content-Type: application/vnd.hellosign+json\r\n",
        OK,
    ),
    ("type-html", "Content-Type: text/html\r\n", MALFORMED),
    (
        "type-text",
        "Content-Type: text/plain; charset=utf-8\r\n",
        MALFORMED,
    ),
    (
        "type-form",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        MALFORMED,
    ),
    (
        "type-almost",
        "Content-Type: application/jsonp\r\n",
        MALFORMED,
    ),
    (
        "type-latin-1",
        "Content-Type: application/json; charset=iso-8859-1\r\n",
        MALFORMED,
    ),
    (
        "type-utf-16",
        "Content-Type: application/json; charset=utf-16\r\n",
        MALFORMED,
    ),
    ("type-empty", "Content-Type:\r\n", MALFORMED),
    (
        "type-twice",
        "Content-Type: application/json\r\nContent-Type: text/html\r\n",
        MALFORMED,
    ),
];

fn not_utf8() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    const OBJECT: &str = r#"{"access_token":"NWNiOTMx"}"#;

    let wide = |bytes: fn(u16) -> [u8; 2]| OBJECT.encode_utf16().flat_map(bytes);
    [
        (
            "invalid-utf-8-in-a-token",
            b"{\"access_token\":\"NWNi\xff\"}".to_vec(),
        ),
        (
            "invalid-utf-8-elsewhere",
            b"{\"access_token\":\"NWNi\",\"x\":\"\xc3\"}".to_vec(),
        ),
        (
            "utf-16-with-a-mark",
            [0xff, 0xfe]
                .into_iter()
                .chain(wide(u16::to_le_bytes))
                .collect(),
        ),
        ("utf-16-without", wide(u16::to_be_bytes).collect()),
    ]
    .into_iter()
}

/// An unknown member that a recursive reader would overflow its stack with.
fn nested() -> String {
    const DEPTH: usize = 7 * 1024;

    let deep = ["[".repeat(DEPTH), "]".repeat(DEPTH)].concat();
    format!(r#"{{"access_token":"{{access_token}}","x":{deep}}}"#)
}
