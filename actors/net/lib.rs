//! The network part of a node: DNS, TCP, TLS and certificates.
//!
//! ```
//! use std::time::Duration;
//!
//! use net::{
//!     happy_eyeballs::{self, ConnectError},
//!     network::Network,
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
//!
//! // The first address refuses, so the second one is tried at once.
//! let addresses = [closed, listener.local_addr()?];
//! let socket = happy_eyeballs::connect(&Network::System, &addresses, Duration::from_secs(10)).await;
//! assert!(socket.is_ok());
//!
//! let failures = happy_eyeballs::connect(&Network::System, &[closed], Duration::from_secs(10)).await;
//! assert_eq!(failures.err(), Some(vec![(closed, ConnectError::Refused)]));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Architecture Invariant: no actor. The actors use this crate; it does not know them.

pub mod address;
pub mod certificate;
pub mod dns;
pub mod happy_eyeballs;
pub mod network;
pub mod stream;
pub mod stream_id;
pub mod subnet;
pub mod tcp_options;
pub mod tls;
pub mod unix_socket;
