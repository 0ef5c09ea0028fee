//! Reports, events, causes and commands of a node, as plain values.
//!
//! The actors fill them in. The log, the control socket and the commands of the binary write them.
//!
//! ```
//! use status::{escape, request::Request};
//!
//! // A request on the control socket is one line of JSON.
//! let request = Request::Retry { domain: "b.example".to_owned(), this_node: false };
//! assert_eq!(request.line(), "{\"ask\":\"retry\",\"domain\":\"b.example\"}\n");
//!
//! // Text of a peer can hold control characters.
//! assert_eq!(escape::escaped("\u{1b}[2J"), r"\u{1b}[2J");
//! ```
//!
//! Architecture Invariant: no actor and no I/O.

pub mod address;
pub mod amount;
pub mod answer;
pub mod cause;
pub mod display;
pub mod escape;
pub mod event;
pub mod finding;
pub mod report;
pub mod request;
pub mod sentence;
pub mod smallest;
