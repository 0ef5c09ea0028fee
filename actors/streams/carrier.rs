//! Whoever takes stanzas for a pair or for a component: an actor here, or the relay to another node of the cluster.
//!
//! Both accept the same messages, so router, promise and mailroom do not distinguish them.

use std::fmt;

use actix::{Actor, Context, Handler};
use cluster::name::NodeName;

use mailbox::{Mailbox, Queued, Refused};

/// The owner of a stream here, or the relay in its place. Clones are the same one.
pub enum Carrier<H: Actor, R: Actor> {
    /// The link or the connection is here.
    Here(Mailbox<H>),
    /// Another node has it.
    There(Mailbox<R>, NodeName),
}

impl<H: Actor<Context = Context<H>>, R: Actor<Context = Context<R>>> Carrier<H, R> {
    /// Sends a message, as [`Mailbox::tell`] does.
    ///
    /// # Errors
    ///
    /// Returns the message if the mailbox is full or the actor has stopped.
    pub(crate) fn tell<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        H: Handler<Queued<M>>,
        R: Handler<Queued<M>>,
    {
        match self {
            Self::Here(owner) => owner.tell(message),
            Self::There(relay, _) => relay.tell(message),
        }
    }

    /// Sends a life-cycle message, as [`Mailbox::signal`] does.
    ///
    /// # Errors
    ///
    /// Returns the message if the actor has stopped.
    pub(crate) fn signal<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        H: Handler<Queued<M>>,
        R: Handler<Queued<M>>,
    {
        match self {
            Self::Here(owner) => owner.signal(message),
            Self::There(relay, _) => relay.signal(message),
        }
    }

    /// Whether both are the same actor.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(one), Self::Here(other)) => one.is(other),
            (Self::There(one, _), Self::There(other, _)) => one.is(other),
            (Self::Here(_) | Self::There(..), _) => false,
        }
    }

    /// The owner of the stream, if it is here.
    pub(crate) fn here(&self) -> Option<&Mailbox<H>> {
        match self {
            Self::Here(owner) => Some(owner),
            Self::There(..) => None,
        }
    }

    /// The node that has it, if it is not this one.
    pub(crate) fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Here(_) => None,
            Self::There(_, node) => Some(node),
        }
    }
}

impl<H: Actor, R: Actor> Clone for Carrier<H, R> {
    fn clone(&self) -> Self {
        match self {
            Self::Here(owner) => Self::Here(owner.clone()),
            Self::There(relay, node) => Self::There(relay.clone(), node.clone()),
        }
    }
}

impl<H: Actor, R: Actor> From<Mailbox<H>> for Carrier<H, R> {
    fn from(owner: Mailbox<H>) -> Self {
        Self::Here(owner)
    }
}

impl<H: Actor, R: Actor> fmt::Debug for Carrier<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(owner) => f.debug_tuple("Here").field(owner).finish(),
            Self::There(relay, node) => f.debug_tuple("There").field(relay).field(node).finish(),
        }
    }
}
