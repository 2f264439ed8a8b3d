//! A server whose responses the test sends one by one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use dropbox_sign_oauth::{App, Endpoints};

use crate::DEADLINE;

pub(crate) struct Service {
    pub(crate) app: App,
    requests: Receiver<PendingRequest>,
}

/// A request that waits for its response.
pub(crate) struct PendingRequest {
    line: String,
    authorization: String,
    body: String,
    response: Sender<String>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || serve(connection.unwrap(), &sender));
            }
        });
        Self { app: app_at(&base), requests }
    }

    pub(crate) fn base(&self) -> String {
        let token = self.app.endpoints().token().to_string();
        token.strip_suffix("/oauth/token").unwrap().to_owned()
    }

    pub(crate) fn next_request(&self) -> PendingRequest {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Asserts that no further request has arrived.
    pub(crate) fn assert_no_more_requests(&self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("another request: {}", request.line);
        }
    }
}

pub(crate) fn app_at(base: &str) -> App {
    App::builder("client-id", "client-secret")
        .endpoints(Endpoints::at(base).unwrap())
        .build()
        .unwrap()
}

fn serve(connection: TcpStream, requests: &Sender<PendingRequest>) {
    let mut writer = connection.try_clone().unwrap();
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(2) => break,
                Ok(1..) => head.push(line),
                _ => return, // The client has closed the connection.
            }
        }
        let header = |wanted: &str| {
            let values = head.iter().filter_map(|line| line.split_once(':'));
            let mut values = values.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            values.next().map_or("", |(_, value)| value.trim())
        };
        let length = header("content-length").parse().unwrap_or_default();
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (response, responses) = mpsc::channel();
        let request = PendingRequest {
            line: head[0].trim().to_owned(),
            authorization: header("authorization").to_owned(),
            body: String::from_utf8(body).unwrap(),
            response,
        };
        let is_sent = requests.send(request).is_ok();
        let Some(response) = responses.recv().ok().filter(|_| is_sent) else {
            return; // The test has ended or dropped the request.
        };
        if writer.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

impl PendingRequest {
    pub(crate) fn respond(self, status: u16, body: &str) {
        let length = body.len();
        let response = format!("HTTP/1.1 {status} \r\nContent-Length: {length}\r\n\r\n{body}");
        self.response.send(response).unwrap();
    }

    /// Asserts that this is a refresh with `refresh_token`, and responds with the tokens
    /// `a{number}` and `r{number}`.
    pub(crate) fn respond_with_tokens(self, refresh_token: &str, number: u32) {
        self.assert_refresh(refresh_token);
        let body = format!(
            r#"{{"access_token":"a{number}","refresh_token":"r{number}","expires_in":86400}}"#
        );
        self.respond(200, &body);
    }

    pub(crate) fn assert_refresh(&self, refresh_token: &str) {
        assert_eq!(self.line, "POST /oauth/token?refresh HTTP/1.1");
        let sent = format!(r#""refresh_token":"{refresh_token}""#);
        assert!(self.body.contains(&sent), "{}", self.body);
    }

    /// Asserts that this is an account request with `access_token`, and responds with `status`.
    pub(crate) fn respond_with_account(self, access_token: &str, status: u16) {
        assert_eq!(self.line, "GET /v3/account HTTP/1.1");
        assert_eq!(self.authorization, format!("Bearer {access_token}"));
        let account = r#"{"account":{"account_id":"1","email_address":"me@dropboxsign.com"}}"#;
        self.respond(status, if status == 200 { account } else { "{}" });
    }
}
