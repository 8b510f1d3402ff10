//! `badgate probe` and what it measures with: against servers of its own on
//! loopback that do what no decent server does, and against the real ones,
//! where they are installed.
mod dns;
mod faults;
mod idle;
mod real;
mod serve;
mod tls;
