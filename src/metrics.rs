//! `/metrics` for Prometheus, `/live` and `/ready` for whoever supervises the process.
//!
//! Served by one thread of its own, which reads the [`Board`] and the watchdog's judgement and nothing
//! else: no stage, sink or camera can keep it waiting, and however many clients there are, slow or not, it takes no more
//! of the machine than `server` lets it.

mod page;
mod server;
mod text;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use crate::board::Board;
use crate::model::file::ModelInfo;
use crate::watchdog::Judgement;
use server::Server;

/// Where to serve: `127.0.0.1:9464`, or a bare port, which means this machine only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsAddress(SocketAddr);

/// An address that is none, or that leaves open who shall reach it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a port such as 9464 for this machine only, or an address with a port such as 192.0.2.7:9464 or [::1]:9464 (0.0.0.0:9464 for every network)"
)]
#[non_exhaustive]
pub struct MetricsAddressError;

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The address cannot be listened at.
    #[error("cannot serve metrics on {address}: {source}; {}", remedy(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its thread cannot be started.
    #[error("cannot start a thread for the metrics: {0}; free some memory or raise the limit on processes")]
    Thread(io::Error),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: end it, or give another port to --metrics (0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => "give --metrics an address of this machine",
        io::ErrorKind::PermissionDenied => "give --metrics a port above 1023",
        _ => "give --metrics another address",
    }
}

impl FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    fn from_str(text: &str) -> Result<Self, MetricsAddressError> {
        let here = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        let address = port.parse().map(here).or_else(|_| text.parse());
        address.map(Self).map_err(|_| MetricsAddressError)
    }
}

impl MetricsAddress {
    /// The address to listen at.
    #[must_use]
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// The endpoint; it is closed when this is dropped.
pub struct Metrics {
    server: Server,
    facts: Arc<OnceLock<Facts>>,
}

/// What is known of a run once its models are open.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The purifier, where there is one.
    pub purifier: Option<ModelInfo>,
    /// The classifier.
    pub classifier: Option<ModelInfo>,
    /// Who computes: `cpu` or `cuda`.
    pub provider: String,
}

impl Metrics {
    /// Listens and starts to serve.
    ///
    /// # Errors
    /// When the address cannot be listened at, or no thread can be started.
    pub fn start(address: MetricsAddress, board: Board, judgement: Judgement) -> Result<Self, MetricsError> {
        let facts = Arc::default();
        let pages = page::Pages { board, judgement, facts: Arc::clone(&facts) };
        Ok(Self { server: Server::start(address.0, pages)?, facts })
    }

    /// Where it listens: with the port that the system chose, where none was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Enters what is known of the models; the first time counts.
    pub fn know(&self, facts: Facts) {
        let _ = self.facts.set(facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<String, MetricsAddressError> {
        text.parse().map(|address: MetricsAddress| address.get().to_string())
    }

    #[test]
    fn a_bare_port_is_for_this_machine_only_and_other_networks_must_be_written_out() {
        for (text, expected) in [
            ("9464", "127.0.0.1:9464"),
            ("0", "127.0.0.1:0"),
            ("localhost:9464", "127.0.0.1:9464"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected));
        }
        for text in ["", ":9464", "65536", "somewhere:9464", "127.0.0.1", "*:9464", "http://127.0.0.1:9464", "-1"] {
            assert_eq!(address(text), Err(MetricsAddressError), "{text}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_listened_at_is_named_with_what_to_do() {
        let listen = |kind: io::ErrorKind| {
            MetricsError::Listen { address: ([127, 0, 0, 1], 9464).into(), source: kind.into() }.to_string()
        };
        assert_eq!(
            listen(io::ErrorKind::AddrInUse),
            "cannot serve metrics on 127.0.0.1:9464: address in use; another program listens there: end it, or give another port to \
             --metrics (0 takes a free one)"
        );
        assert!(listen(io::ErrorKind::PermissionDenied).ends_with("give --metrics a port above 1023"));
        assert!(listen(io::ErrorKind::AddrNotAvailable).ends_with("give --metrics an address of this machine"));
    }
}
