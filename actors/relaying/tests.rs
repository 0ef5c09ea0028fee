//! Several nodes in one process, on paused time: their actors of cluster and ferry, and a broker in memory. Router, promise and
//! relays are stubs that report what they get.

mod ends;
mod ferries;
mod links;
mod node;
mod questions;
mod schedules;
mod seats;
mod stanzas;
mod strangers;
mod suspension;
mod too_long;

use std::time::Duration;

use self::node::{Node, Said, World};
