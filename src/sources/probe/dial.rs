//! Opening one connection the way the probe's own request does: connect, TLS
//! where the URL wants it, and no request over a certificate that does not
//! verify unless the person said so.

use super::exchange::Request;
use super::tcp::{self, Io};
use super::tls::{self, Offer};
use crate::situation::probe::{Connect, Tls};
use std::net::SocketAddr;
use std::time::Duration;

/// How one address is reached.
#[derive(Clone, Debug)]
pub struct Dial {
    pub to: SocketAddr,
    pub tls: Option<Offer>,
    pub insecure: bool,
    /// For connecting and for the handshake, each.
    pub limit: Duration,
    pub request: Request,
}

/// What became of it.
pub struct Dialled {
    pub connect: Connect,
    pub tls: Option<Tls>,
    pub plain_http: bool,
    /// A connection a request may go over, or why there is none.
    pub io: Result<Box<dyn Io>, String>,
}

impl Dial {
    /// Connects.
    pub async fn open(&self) -> Dialled {
        let (connect, stream) = tcp::connect(self.to, self.limit).await;
        self.upgrade(connect, stream).await
    }

    /// Goes on from a connection that stands.
    pub async fn upgrade(&self, connect: Connect, stream: Option<tokio::net::TcpStream>) -> Dialled {
        let Some(stream) = stream else {
            let detail = match connect.outcome {
                crate::situation::probe::Reach::Failed => connect.detail.to_string(),
                other => format!("connecting: {}", other.word()),
            };
            return Dialled { connect, tls: None, plain_http: false, io: Err(detail) };
        };
        let Some(offer) = &self.tls else {
            return Dialled { connect, tls: None, plain_http: false, io: Ok(Box::new(stream)) };
        };
        let h = tls::handshake(stream, self.to, offer, self.limit).await;
        let io: Result<Box<dyn Io>, String> = match h.stream {
            None => Err(format!("TLS: {}", h.report.why)),
            Some(_) if h.report.verified != Some(true) && !self.insecure => {
                Err(format!("certificate: {}", h.report.why))
            }
            Some(s) => Ok(Box::new(s)),
        };
        Dialled { connect, tls: Some(h.report), plain_http: h.plain_http, io }
    }
}
