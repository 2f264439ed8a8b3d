//! Opens connections: directly, through an HTTP proxy, or through a SOCKS proxy.

use std::{
    fmt,
    io::{self, Read, Write as _},
    net::SocketAddr,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::{MAX_RESPONSE_HEAD, PlainHttp};
use http::Uri;
use ureq::{
    Error, Proxy, ProxyProtocol,
    unversioned::{
        resolver::ResolvedSocketAddrs,
        transport::{
            ConnectionDetails, Connector, SocksConnector, TcpConnector, Transport, TransportAdapter,
        },
    },
};
use zeroize::Zeroizing;

use crate::{call, tls::TlsConnector};

/// Opens a connection to the server, or a tunnel to it through the proxy of the request's
/// configuration. TLS to the server comes on top.
///
/// ureq's own connector for HTTP proxies is not used: it takes the CONNECT request for a part of
/// the call's request, and a proxy that responds slowly outlasts every timeout.
pub(crate) struct Dialer<C = TcpConnector> {
    pub(crate) tcp: C,
    /// TLS to a proxy.
    pub(crate) tls: TlsConnector,
    pub(crate) plain_http: PlainHttp,
}

impl<C> fmt::Debug for Dialer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

impl<C: Connector> Connector for Dialer<C> {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let proxy = details.config.proxy();
        if !details.needs_tls() && proxy.is_none() {
            // `localhost` is checked by its addresses: a hosts file can say anything.
            for address in &details.addrs {
                check_address(self.plain_http, *address)?;
            }
        }
        match proxy {
            None => {
                let details = within_budget(details, details.uri, details.addrs.clone())?;
                self.tcp(&details).map(Some)
            }
            Some(proxy) if is_http(proxy) => self.tunnel(details, proxy).map(Some),
            Some(_) => {
                let details = within_budget(details, details.uri, details.addrs.clone())?;
                let tunnel = SocksConnector::default().connect(&details, None::<()>)?;
                Ok(tunnel.map(|tunnel| Box::new(tunnel) as _))
            }
        }
    }
}

impl<C: Connector> Dialer<C> {
    fn tcp(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, Error> {
        let connection = self.tcp.connect(details, None)?;
        Ok(Box::new(connection.ok_or(Error::ConnectionFailed)?))
    }

    fn tunnel(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
    ) -> Result<Box<dyn Transport>, Error> {
        let timeout = call::connect_budget(details.timeout);
        let addresses = details.resolver.resolve(proxy.uri(), details.config, timeout)?;
        let to_proxy = within_budget(details, proxy.uri(), addresses)?;
        let connection = self.tls.connect(&to_proxy, Some(self.tcp(&to_proxy)?))?;
        let connection: Box<dyn Transport> = Box::new(connection.ok_or(Error::ConnectionFailed)?);
        let mut stream = TransportAdapter::new(connection, details.current_time.clone());
        stream.set_timeout(call::connect_budget(details.timeout));
        stream.write_all(connect_request(details.uri, proxy).as_bytes())?;
        match read_status(&mut stream)? {
            200..300 => Ok(stream.into_inner()),
            status => Err(refused(format!("the proxy responded with status {status}"))),
        }
    }
}

/// Checks that plain http may be sent to `address`.
fn check_address(plain_http: PlainHttp, address: SocketAddr) -> Result<(), Error> {
    let uri: Uri = format!("http://{address}").parse().map_err(http::Error::from)?;
    let insecure = |error| io::Error::new(io::ErrorKind::PermissionDenied, error);
    Ok(plain_http.check(&uri).map_err(insecure)?)
}

fn is_http(proxy: &Proxy) -> bool {
    matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
}

/// The details of a connection to `uri` that must be open within what is left of the time for
/// connecting.
fn within_budget<'a>(
    details: &ConnectionDetails<'a>,
    uri: &'a Uri,
    addrs: ResolvedSocketAddrs,
) -> Result<ConnectionDetails<'a>, Error> {
    let timeout = call::connect_budget(details.timeout);
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(ConnectionDetails {
        timeout,
        now: (details.current_time)(),
        uri,
        addrs,
        config: details.config,
        request_level: details.request_level,
        resolver: details.resolver,
        current_time: details.current_time.clone(),
        run_connector: details.run_connector.clone(),
        register_shutdown: details.register_shutdown.clone(),
    })
}

/// The request for a tunnel to `target` (RFC 9110 §9.3.6), with the proxy's credentials if it has
/// some.
fn connect_request(target: &Uri, proxy: &Proxy) -> Zeroizing<String> {
    let host = target.host().unwrap_or_default();
    let plain = target.scheme_str() == Some("http");
    let port = target.port_u16().unwrap_or(if plain { 80 } else { 443 });
    let mut request =
        Zeroizing::new(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"));
    if proxy.username().is_some() || proxy.password().is_some() {
        let user = proxy.username().unwrap_or_default();
        let password = proxy.password().unwrap_or_default();
        let credentials = Zeroizing::new(format!("{user}:{password}"));
        let credentials = Zeroizing::new(BASE64_STANDARD.encode(&*credentials));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&credentials);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Reads the proxy's final response head, and nothing after it; returns its status.
fn read_status(proxy: &mut impl Read) -> Result<u16, Error> {
    let mut head = Vec::new();
    let mut start = 0;
    for _ in 0..MAX_RESPONSE_HEAD {
        let mut byte = [0];
        proxy.read_exact(&mut byte)?;
        head.extend(byte);
        if !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            continue;
        }
        let status = head.get(start..).and_then(status);
        match status {
            Some(100..200) => start = head.len(),
            Some(status) => return Ok(status),
            None => return Err(refused("the proxy's response is not HTTP".to_owned())),
        }
    }
    Err(refused("the proxy's response is too large".to_owned()))
}

/// The status in a response head: `HTTP/1.1 200 …`.
fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn refused(reason: String) -> Error {
    Error::ConnectProxyFailed(reason)
}
