//! Signals of the system.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that matter, as a stream.
pub(super) struct Signals {
    streams: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    pub fn new() -> std::io::Result<Signals> {
        let wanted =
            [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT, Signal::TSTP, Signal::CONT, Signal::WINCH];
        let streams = wanted
            .into_iter()
            .map(|s| Ok((s, signal(SignalKind::from_raw(s.as_raw()))?)))
            .collect::<std::io::Result<_>>()?;
        Ok(Signals { streams })
    }

    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            for (which, stream) in &mut self.streams {
                if stream.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(*which);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
