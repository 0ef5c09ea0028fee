//! Remote servers that acknowledge stanzas (XEP-0198), and that remember lost streams.

use xmpp::{
    acks::Options,
    stream::{Stage, initiating},
};

use super::*;
use crate::dial::error::At;

/// Whether and how remote servers acknowledge stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Acks {
    No,
    /// They offer it, and refuse it when it is requested.
    Refused,
    /// They do not answer the request.
    Unconfirmed,
    /// They answer each request, and keep nothing of a lost stream.
    Plain,
    /// They answer each request, and remember lost streams.
    Resumable,
    /// They answer no request.
    Silent,
    /// They acknowledge one stanza more than they got.
    TooMany,
    /// They cut the link at this stanza, without an acknowledgement.
    CutAt(usize),
    /// They acknowledge this stanza, although nobody asked, and cut the link at once.
    AckAndCutAt(usize),
    /// They end the stream because of this stanza.
    Reject(usize),
    /// They remember lost streams, and close the stream after this stanza: with a last acknowledgement, then
    /// their closing tag.
    CloseAfter(usize),
}

/// How remote servers answer the question about a lost stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Resumption {
    /// The stream goes on.
    Resumed,
    /// The count is known, and the stream does not go on.
    Counted,
    /// They do not know the stream.
    Forgotten,
    /// They do not answer.
    Silent,
    /// The connection ends before the answer.
    Broken,
    /// They say that they got more than was sent.
    TooMany,
    /// The stream goes on after so many stanzas.
    After(u32),
}

impl Resumption {
    /// What a remote server may do, if it has no bug.
    pub(in crate::scenario) const ALL: [Self; 5] =
        [Self::Resumed, Self::Counted, Self::Forgotten, Self::Silent, Self::Broken];
}

/// The streams that remote servers remember, by name: the number of stanzas that they have handled.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Counts {
    /// The last attempt of each remote domain. It ends the stream of the one before, so that a count is final.
    current: HashMap<String, usize>,
    pub(in crate::scenario) handled: HashMap<String, u32>,
    /// The streams for which they were asked.
    pub(in crate::scenario) asked: Vec<String>,
}

/// The acknowledgements of one stream.
pub(super) struct Acknowledging {
    /// The number of its attempt.
    number: usize,
    /// Its name; `None` without acknowledgements.
    name: Option<String>,
    /// The stream was resumed, so it is confirmed already.
    resumed: bool,
    acks: Acks,
}

impl Acknowledging {
    pub(super) fn none() -> Self {
        Self { number: 0, name: None, resumed: false, acks: Acks::No }
    }

    /// The answer to the request for acknowledgements.
    pub(super) fn confirmation(&self) -> String {
        match (&self.name, self.acks) {
            (None, _) | (_, Acks::Unconfirmed) => String::new(),
            (_, Acks::Refused) => "<failed xmlns='urn:xmpp:sm:3'><internal-server-error \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
                .to_owned(),
            _ if self.resumed => String::new(),
            (Some(name), Acks::Resumable | Acks::CloseAfter(_)) => {
                format!("<enabled xmlns='urn:xmpp:sm:3' id='{name}' resume='true'/>")
            }
            // A peer that only acknowledges says that it resumes, without a name for the stream, as Prosody does.
            (Some(_), _) => "<enabled xmlns='urn:xmpp:sm:3' resume='true'/>".to_owned(),
        }
    }
}

impl Remotes {
    /// An attempt to a remote domain has come so far that the stream before takes no more stanzas.
    pub(super) fn begins(&self, remote: &str, number: usize) {
        self.counts.send_modify(|counts| _ = counts.current.insert(remote.to_owned(), number));
    }

    /// Whether another stream has taken the place of this one.
    pub(super) fn has_ended(&self, remote: &str, acknowledging: &Acknowledging) -> bool {
        let is_last =
            self.counts.borrow().current.get(remote).is_none_or(|last| *last == acknowledging.number);
        acknowledging.name.is_some() && !is_last
    }

    /// The acknowledgements that an attempt asks for, and the answer about the lost stream.
    pub(super) async fn asked(&self, lost: Option<&Lost>) -> Result<(Options, String), AttemptError> {
        let mut resume = lost.filter(|lost| lost.until > clock::now()).map(|lost| lost.previous.clone());
        let resumption = self.behaviour.borrow().resumption;
        if let Resumption::After(_) = resumption {
            let id = "before".to_owned();
            resume.get_or_insert(xmpp::acks::Previous { id, handled: 0, max: None });
        }
        let Some(previous) = &resume else {
            return Ok((Options { enabled: true, resume: None, resumable: true }, String::new()));
        };
        let id = previous.id.clone();
        let mut handled = None;
        self.counts.send_modify(|counts| {
            counts.asked.push(id.clone());
            handled = counts.handled.get(&id).copied();
        });
        let not_found = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        let resumed = |h| format!("<resumed xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>");
        let at = || At { address: ([127, 0, 0, 1], 5269).into(), stage: Stage::Resumption, distrusted: None };
        let answer = match (resumption, handled) {
            (Resumption::Resumed, Some(h)) => resumed(h),
            (Resumption::Counted, Some(h)) => {
                format!("<failed xmlns='urn:xmpp:sm:3' h='{h}'>{not_found}</failed>")
            }
            (Resumption::TooMany, Some(h)) => resumed(h + 1000),
            (Resumption::After(count), _) => {
                self.counts.send_modify(|counts| _ = counts.handled.insert(id.clone(), count));
                self.behaviour.send_modify(|behaviour| behaviour.resumption = Resumption::Resumed);
                resumed(count)
            }
            (Resumption::Silent, _) => {
                let after = Duration::from_secs(5);
                tokio::time::sleep(after).await;
                return Err(AttemptError::TimedOut { at: at(), after });
            }
            (Resumption::Broken, _) => return Err(AttemptError::Broken { at: at(), error: None }),
            (Resumption::Forgotten, _) | (_, None) => {
                format!("<failed xmlns='urn:xmpp:sm:3'>{not_found}</failed>")
            }
        };
        Ok((Options { enabled: true, resume, resumable: true }, answer))
    }

    /// The acknowledgements of a new stream.
    pub(super) fn acknowledging(&self, machine: &initiating::Open, number: usize) -> Acknowledging {
        let acks = self.behaviour.borrow().acks;
        if let initiating::Acks::On { resumable: Some(resumable) } = machine.acks() {
            return Acknowledging { number, name: Some(resumable.id.clone()), resumed: true, acks };
        }
        let name = format!("stream {number}");
        self.counts.send_modify(|counts| _ = counts.handled.insert(name.clone(), 0));
        Acknowledging { number, name: Some(name), resumed: false, acks }
    }

    /// A stanza was handled. Gives the last bytes if the link ends because of it.
    pub(super) fn handled(&self, acknowledging: &mut Acknowledging, id: usize) -> Option<String> {
        let name = acknowledging.name.clone()?;
        let acks = self.behaviour.borrow().acks;
        let end = match acks {
            Acks::CutAt(culprit) if culprit == id => return Some(String::new()),
            Acks::Reject(culprit) if culprit == id => {
                let error = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
                return Some(format!("{}{error}</stream:error>{FOOTER}", self.answer(acknowledging)));
            }
            Acks::AckAndCutAt(last) | Acks::CloseAfter(last) => last == id,
            _ => false,
        };
        self.counts.send_modify(|counts| {
            let handled = counts.handled.entry(name).or_default();
            *handled = handled.wrapping_add(1);
        });
        let closes = matches!(acks, Acks::CloseAfter(_));
        end.then(|| self.answer(acknowledging) + if closes { FOOTER } else { "" })
    }

    /// The answer to a request.
    pub(super) fn answer(&self, acknowledging: &Acknowledging) -> String {
        let Some(name) = &acknowledging.name else { return String::new() };
        let mut h = self.counts.borrow().handled.get(name).copied().unwrap_or_default();
        match self.behaviour.borrow().acks {
            Acks::Silent | Acks::Refused | Acks::Unconfirmed => return String::new(),
            Acks::TooMany => h = h.wrapping_add(1),
            _ => {}
        }
        format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
    }
}

/// An element that a remote server reads.
pub(super) enum Element {
    Stanza(String),
    /// A request for an acknowledgement.
    Request,
    /// An acknowledgement, or a stream error.
    Other,
    ClosingTag,
}

impl Element {
    /// Takes the next element if it is complete.
    pub(super) fn take(bytes: &mut BytesMut) -> Option<Self> {
        let text = std::str::from_utf8(bytes).unwrap();
        let blank = text.len() - text.trim_start().len();
        let text = text.trim_start();
        let until = |end: &str| text.find(end).map(|place| place + end.len());
        let (length, element) = if text.starts_with(FOOTER) {
            (FOOTER.len(), Self::ClosingTag)
        } else if text.starts_with("<r ") {
            (until("/>")?, Self::Request)
        } else if text.starts_with("<a ") {
            (until("/>")?, Self::Other)
        } else if text.starts_with("<stream:error") {
            (until("</stream:error>")?, Self::Other)
        } else {
            let name =
                text.strip_prefix('<')?.split([' ', '>', '/']).next().filter(|name| !name.is_empty())?;
            let length = until(&format!("</{name}>"))?;
            (length, Self::Stanza(text[..length].to_owned()))
        };
        let _ = bytes.split_to(blank + length);
        Some(element)
    }
}
