//! Access logs, at the speed of the disk: rows of load balancers, gateways,
//! proxies and web servers are read where they lie, counted, and judged by
//! the same table as the diagnosis.
//!
//! [`Parser`] reads single rows, [`engine`] whole files, folders and streams
//! on several threads in bounded memory, [`Tally`](tally::Tally) is what a
//! thread has counted, and [`Answer`](answer::Answer) is what it says.
//! [`Reader`] gathers the rows the diagnosis wants.

pub mod answer;
mod blame;
mod cloudfront;
mod elb;
pub mod engine;
pub mod filter;
mod groups;
mod input;
mod join;
mod json;
mod lines;
pub mod live;
pub mod push;
mod reader;
mod row;
mod shapes;
pub mod sketch;
pub mod tally;
pub mod tops;
mod web;

/// The node that wrote a load balancer's file, where its name tells.
#[cfg(feature = "aws")]
pub(crate) fn node_of(file: &str) -> Vec<u8> {
    input::stamp(file).1
}

pub use reader::Reader;
pub use row::Row;
pub use web::Template;

use row::Clock;
use serde::Serialize;
use std::sync::Arc;

/// What wrote a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Application Load Balancer, access log.
    Alb,
    /// Application Load Balancer, connection log.
    AlbConnection,
    /// Application Load Balancer, health-check log.
    AlbHealth,
    /// Classic Load Balancer.
    Clb,
    /// Network Load Balancer, TLS listeners.
    Nlb,
    /// CloudFront standard log.
    #[serde(rename = "cloudfront")]
    CloudFront,
    /// API Gateway.
    #[serde(rename = "apigateway")]
    ApiGateway,
    /// Azure Application Gateway.
    #[serde(rename = "azure")]
    AzureGateway,
    /// Apache, nginx and what writes like them.
    Web,
    #[serde(rename = "haproxy")]
    HaProxy,
}

impl Format {
    /// Every format, in the order they are counted in.
    pub const ALL: [Format; 10] = [
        Format::Alb,
        Format::AlbConnection,
        Format::AlbHealth,
        Format::Clb,
        Format::Nlb,
        Format::CloudFront,
        Format::ApiGateway,
        Format::AzureGateway,
        Format::Web,
        Format::HaProxy,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Alb => "alb",
            Format::AlbConnection => "alb-connection",
            Format::AlbHealth => "alb-health",
            Format::Clb => "clb",
            Format::Nlb => "nlb",
            Format::CloudFront => "cloudfront",
            Format::ApiGateway => "apigateway",
            Format::AzureGateway => "azure",
            Format::Web => "web",
            Format::HaProxy => "haproxy",
        }
    }

    /// Its name in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Format::Alb => "ALB access log",
            Format::AlbConnection => "ALB connection log",
            Format::AlbHealth => "ALB health-check log",
            Format::Clb => "Classic Load Balancer log",
            Format::Nlb => "NLB TLS log",
            Format::CloudFront => "CloudFront standard log",
            Format::ApiGateway => "API Gateway access log",
            Format::AzureGateway => "Azure Application Gateway access log",
            Format::Web => "web server access log",
            Format::HaProxy => "HAProxy HTTP log",
        }
    }
}

/// One line, read.
// It lives on the stack for as long as its line; a box would cost each row an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    Row(Format, Row<'a>),
    /// Nothing, or a directive: no row, and no fault either.
    Blank,
    /// No format that is known.
    Unreadable,
}

/// Reads lines one after the other. What wrote them is found out by content;
/// a line that does not fit what stood before it is looked at anew.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    /// The only format that is read; `None`: any.
    only: Option<Format>,
    /// The form of the last line that was read.
    last: Option<Form>,
    template: Option<Arc<Template>>,
    columns: cloudfront::Columns,
    clock: Clock,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Alb,
    AlbConnection,
    AlbHealth,
    Clb,
    Nlb,
    Tab,
    Clf,
    HaProxy,
}

impl Parser {
    /// `only`: rows of other formats are unreadable. `template`: lines are read
    /// as this says, and not otherwise.
    pub fn new(only: Option<Format>, template: Option<Arc<Template>>) -> Parser {
        Parser { only, template, ..Parser::default() }
    }

    /// One line without its line feed. With `full`, every field of the row is
    /// read; without, rows that tell of no failure may lack what stands behind
    /// the user agent.
    pub fn line<'a>(&mut self, line: &'a [u8], full: bool) -> Line<'a> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(first) = line.first() else { return Line::Blank };
        if let Some(t) = self.template.clone() {
            return match t.row(line, &mut self.clock) {
                Some(row) => Line::Row(Format::Web, row),
                None if line.trim_ascii().is_empty() => Line::Blank,
                None => Line::Unreadable,
            };
        }
        if *first != b'#'
            && let Some(form) = self.last
            && let Some((format, row)) = self.read(form, line, full)
        {
            return self.fit(format, row);
        }
        let line = line.trim_ascii();
        match line.first() {
            None => return Line::Blank,
            Some(b'#') => {
                if let Some(columns) = cloudfront::Columns::header(line) {
                    self.columns = columns;
                    self.last = Some(Form::Tab);
                }
                return Line::Blank;
            }
            Some(_) => {}
        }
        let Some(form) = sniff(line).filter(|f| Some(*f) != self.last) else { return Line::Unreadable };
        match self.read(form, line, full) {
            Some((format, row)) => {
                self.last = Some(form);
                self.fit(format, row)
            }
            None => Line::Unreadable,
        }
    }

    fn fit<'a>(&self, format: Format, row: Row<'a>) -> Line<'a> {
        if self.only.is_none_or(|f| f == format) { Line::Row(format, row) } else { Line::Unreadable }
    }

    fn read<'a>(&mut self, form: Form, line: &'a [u8], full: bool) -> Option<(Format, Row<'a>)> {
        let clock = &mut self.clock;
        Some(match form {
            Form::Alb => (Format::Alb, elb::alb(line, full, clock)?),
            Form::Json => json::row(line, clock)?,
            Form::AlbConnection => (Format::AlbConnection, elb::alb_connection(line, clock)?),
            Form::AlbHealth => (Format::AlbHealth, elb::alb_health(line, clock)?),
            Form::Clb => (Format::Clb, elb::clb(line, clock)?),
            Form::Nlb => (Format::Nlb, elb::nlb(line, clock)?),
            Form::Tab => (Format::CloudFront, cloudfront::tab(line, &self.columns, clock)?),
            Form::Clf => web::clf(line, clock)?,
            Form::HaProxy => (Format::HaProxy, web::haproxy(line, clock)?),
        })
    }

    /// Takes over what the head of a file says of all of it: columns of a
    /// CloudFront log.
    pub fn learn(&mut self, head: &[u8]) {
        for line in head.split(|c| *c == b'\n').take(200) {
            if !matches!(self.line(line, false), Line::Blank) {
                break;
            }
        }
    }
}

/// Which form a line looks like, by its first words.
fn sniff(line: &[u8]) -> Option<Form> {
    if line.starts_with(b"{") {
        return Some(Form::Json);
    }
    let mut words = line.splitn(4, |c| *c == b' ');
    let (first, second, third) =
        (words.next().unwrap_or(b""), words.next().unwrap_or(b""), words.next().unwrap_or(b""));
    let dated = |w: &[u8]| {
        w.len() >= 19
            && w[4] == b'-'
            && w[7] == b'-'
            && w[10] == b'T'
            && w[..4].iter().all(u8::is_ascii_digit)
    };
    if first == b"tls" && second.contains(&b'.') {
        return Some(Form::Nlb);
    }
    if first.len() <= 12 && dated(second) {
        let health =
            !third.contains(&b'/') && third.first().is_some_and(|c| c.is_ascii_digit() || *c == b'-');
        return Some(if health { Form::AlbHealth } else { Form::Alb });
    }
    if dated(first) {
        return Some(if third.iter().all(u8::is_ascii_digit) { Form::AlbConnection } else { Form::Clb });
    }
    if memchr::memchr_iter(b'\t', line).take(9).count() >= 9 {
        return Some(Form::Tab);
    }
    if let Some(i) = memchr::memmem::find(line, b"] ") {
        return Some(if line.get(i + 2) == Some(&b'"') { Form::Clf } else { Form::HaProxy });
    }
    None
}

#[cfg(test)]
mod tests;
