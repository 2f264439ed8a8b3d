#!/usr/bin/env bash
# Measures what each library adds to a program: packages, CPU time of a cold release build, and size.
#
#     benches/weight.sh [NAME…]
#
# Builds one tiny program for each in a temporary directory, and prints a Markdown table.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CARGO_TARGET_DIR RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

# program NAME DEPENDENCIES: the source comes from standard input.
program() {
    local name=$1 dependencies=$2 dir=$work/$1
    mkdir -p "$dir/src"
    cat >"$dir/src/main.rs"
    cat >"$dir/Cargo.toml" <<END
[package]
name = "tiny"
edition = "2024"

[dependencies]
$dependencies

[profile.release]
strip = true

[workspace]
END
    # With the versions of the workspace.
    [ ! -f "$root/Cargo.lock" ] || cp "$root/Cargo.lock" "$dir/"
    cd "$dir"
    cargo fetch --quiet

    local packages seconds bytes
    packages=$(cargo tree --offline --edges normal --prefix none --format '{p}' |
        sed 's/ (\*)$//' | sort -u | grep -vc '^tiny ' || true)
    TIMEFORMAT=%U
    seconds=$({ time cargo build --offline --quiet --release 2>"$dir/log"; } 2>&1) ||
        { cat "$dir/log" >&2; exit 1; }
    bytes=$(wc -c <target/release/tiny)
    printf '| %s | %d | %s | %d |\n' "$name" "$packages" "$seconds" $((bytes / 1024))
    cd "$root"
    rm -rf "$dir"
}

# What the programs have in common.
read -r -d '' ours <<'END' || true
use dropbox_sign_oauth::{App, State, Operation};

fn operation() -> Result<impl Operation<Output = dropbox_sign_oauth::TokenResponse>, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("missing argument");
    let app = App::new(&next()?, &next()?)?;
    let state = State::from_stored(&next()?)?;
    Ok(app.generate(app.callback(&next()?, &state)?))
}
END
read -r -d '' oauth2 <<'END' || true
use oauth2::{basic::BasicClient, *};

macro_rules! request { () => {{
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("missing argument");
    let client = BasicClient::new(ClientId::new(next()?))
        .set_client_secret(ClientSecret::new(next()?))
        .set_token_uri(TokenUrl::new(next()?)?);
    (client, AuthorizationCode::new(next()?))
}} }
END
core="dropbox-sign-oauth = { path = \"$root/core\" }"
tokio='tokio = { version = "1", default-features = false, features = ["net", "rt", "time"] }'

build() {
    case $1 in
    "nothing") program "$1" "" <<'END' ;;
fn main() {}
END
    "dropbox-sign-oauth") program "$1" "$core
http = \"1\"" <<END ;;
$ours
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let operation = operation()?;
    println!("{}", String::from_utf8_lossy(operation.request().body()));
    let response = http::Response::new(std::fs::read("response.json")?);
    println!("{:?}", operation.parse(response)?);
    Ok(())
}
END
    "dropbox-sign-oauth-ureq") program "$1" "$core
dropbox-sign-oauth-ureq = { path = \"$root/transport-ureq\" }" <<END ;;
$ours
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transport = dropbox_sign_oauth_ureq::Transport::new()?;
    println!("{:?}", transport.send(operation()?)?);
    Ok(())
}
END
    "dropbox-sign-oauth-hyper") program "$1" "$core
dropbox-sign-oauth-hyper = { path = \"$root/transport-hyper\" }
$tokio" <<END ;;
$ours
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transport = dropbox_sign_oauth_hyper::Transport::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{:?}", runtime.block_on(transport.send(operation()?))?);
    Ok(())
}
END
    "oauth2") program "$1" 'oauth2 = { version = "5.0", default-features = false }' <<END ;;
$oauth2
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, code) = request!();
    let respond = |request: HttpRequest| -> Result<HttpResponse, std::io::Error> {
        println!("{}", String::from_utf8_lossy(request.body()));
        Ok(HttpResponse::new(std::fs::read("response.json")?))
    };
    println!("{:?}", client.exchange_code(code).request(&respond)?);
    Ok(())
}
END
    "oauth2 + reqwest") program "$1" "oauth2 = { version = \"5.0\", default-features = false, features = [\"reqwest\", \"rustls-tls\"] }
$tokio" <<END ;;
$oauth2
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, code) = request!();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{:?}", runtime.block_on(client.exchange_code(code).request_async(&http))?);
    Ok(())
}
END
    "oauth2 + ureq") program "$1" 'oauth2 = { version = "5.0", default-features = false, features = ["ureq"] }' <<END ;;
$oauth2
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, code) = request!();
    let http = ureq::AgentBuilder::new().redirects(0).build();
    println!("{:?}", client.exchange_code(code).request(&http)?);
    Ok(())
}
END
    *) echo "unknown: $1" >&2; exit 2 ;;
    esac
}

if [ $# -eq 0 ]; then
    set -- "nothing" "dropbox-sign-oauth" "dropbox-sign-oauth-ureq" "dropbox-sign-oauth-hyper" \
        "oauth2" "oauth2 + ureq" "oauth2 + reqwest"
fi
printf '\n### Weight\n\n| program | packages | build, s of CPU | size, KiB |\n'
echo '| --- | --: | --: | --: |'
for name; do
    build "$name"
done
