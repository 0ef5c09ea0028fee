//! Stream management (XEP-0198) of a scripted server.

use std::time::Duration;

use super::eventually::SOON;
use super::{Element, Event, Nothing, Peer};
use crate::Identity;

/// The namespace of stream management, version 3.
pub const SM: &str = "urn:xmpp:sm:3";

impl Peer {
    /// As client, after authentication: enables stream management, and returns the answer `<enabled/>`.
    #[track_caller]
    pub fn enables(&mut self, resume: bool) -> Element {
        self.sends(&format!("<enable xmlns='{SM}' resume='{resume}'/>"));
        let enabled = self.expects("enabled");
        assert_eq!(enabled.namespace, SM, "{enabled}");
        enabled
    }

    /// As client, after authentication: enables stream management with resumption, and returns the id of the stream.
    #[track_caller]
    pub fn enables_resumption(&mut self) -> String {
        let enabled = self.enables(true);
        assert!(["true", "1"].contains(&enabled.attribute("resume")), "{enabled}");
        assert!(!enabled.attribute("id").is_empty(), "{enabled}");
        enabled.attribute("id").to_owned()
    }

    /// As client, after authentication: asks to resume the stream `previd`, of which `h` stanzas arrived here, and
    /// returns the answer.
    #[track_caller]
    pub fn resumes(&mut self, previd: &str, h: u32) -> Element {
        self.sends(&format!("<resume xmlns='{SM}' previd='{previd}' h='{h}'/>"));
        self.expects_answer(&["resumed", "failed"])
    }

    /// Requests the count of the other side, and returns it. No stanza may come before the answer.
    #[track_caller]
    pub fn asks_count(&mut self) -> u32 {
        self.sends(&format!("<r xmlns='{SM}'/>"));
        self.expects_count()
    }

    /// Expects the count of the other side next. Its requests are left without an answer.
    #[track_caller]
    pub fn expects_count(&mut self) -> u32 {
        h(&self.expects_answer(&["a"]))
    }

    /// Acknowledges `h` stanzas.
    pub fn acknowledges(&mut self, h: u32) {
        self.sends(&format!("<a xmlns='{SM}' h='{h}'/>"));
    }

    /// As server: accepts the other side's EXTERNAL and offers stream management.
    #[track_caller]
    pub fn answers_to_external_with_acks(&mut self, domain: &str, identity: &Identity) {
        self.answers_to_tls(domain, identity);
        self.accepts_external_offering(domain, OFFER);
    }

    /// As server, after authentication: expects `<enable/>` next, and answers `<enabled/>` with these attributes.
    #[track_caller]
    pub fn takes_enable(&mut self, attributes: &str) {
        self.expects_enable();
        self.sends(&format!("<enabled xmlns='{SM}' {attributes}/>"));
    }

    /// Expects `<enable/>` next, which asks for resumption.
    #[track_caller]
    pub fn expects_enable(&mut self) -> Element {
        let enable = self.expects_answer(&["enable"]);
        assert!(["true", "1"].contains(&enable.attribute("resume")), "{enable}");
        enable
    }

    /// Expects `<enable/>` or `<resume/>` next.
    #[track_caller]
    pub fn expects_enable_or_resume(&mut self) -> Element {
        self.expects_answer(&["enable", "resume"])
    }

    /// Expects `<resume/>` next, for the stream `previd`.
    #[track_caller]
    pub fn expects_resume(&mut self, previd: &str) {
        let resume = self.expects_answer(&["resume"]);
        assert_eq!(resume.attribute("previd"), previd, "{resume}");
        // The other side receives nothing on a stream that it opened.
        assert_eq!(resume.attribute("h"), "0", "{resume}");
    }

    /// Answers `<resume/>`: the stream goes on after `h` stanzas.
    pub fn resumed(&mut self, previd: &str, h: u32) {
        self.sends(&format!("<resumed xmlns='{SM}' previd='{previd}' h='{h}'/>"));
    }

    /// Answers `<enable/>` or `<resume/>` with that condition; `attributes` may be a count.
    pub fn failed(&mut self, attributes: &str, condition: &str) {
        self.sends(&format!(
            "<failed xmlns='{SM}' {attributes}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        ));
    }

    /// Waits for the next stanza. Requests for a count are left without an answer.
    #[track_caller]
    pub fn expects_stanza(&mut self) -> Element {
        match self.stanza_within(SOON) {
            Ok(stanza) => stanza,
            Err(why) => panic!("no stanza: {why:?}, after\n{}", self.transcript()),
        }
    }

    /// The next stanza within `limit`. Requests for a count are left without an answer. The end of the stream is the end.
    pub fn stanza_within(&mut self, limit: Duration) -> Result<Element, Nothing> {
        loop {
            match self.next(limit)? {
                Event::Element(request) if is_request(&request) => {}
                Event::Element(stanza) => return Ok(stanza),
                Event::Opened(_) | Event::Closed => return Err(Nothing::Ended),
            }
        }
    }

    /// Waits for the next stanzas, and returns their ids. Requests for a count are left without an answer.
    #[track_caller]
    pub fn expects_stanzas(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.expects_stanza().attribute("id").to_owned()).collect()
    }

    /// Expects a request for a count. Stanzas before it are ignored.
    #[track_caller]
    pub fn expects_request(&mut self) {
        loop {
            match self.next(SOON) {
                Ok(Event::Element(element)) if is_request(&element) => return,
                Ok(Event::Element(element)) if element.namespace == "jabber:server" => {}
                other => panic!("expected <r/>, got {other:?} after\n{}", self.transcript()),
            }
        }
    }

    /// Reads until the other side closes its stream, and returns what came before that: also its requests.
    #[track_caller]
    pub fn reads_to_closing_tag(&mut self) -> Vec<Element> {
        let mut before = Vec::new();
        loop {
            match self.next(SOON) {
                Ok(Event::Element(element)) => before.push(element),
                Ok(Event::Closed) => return before,
                other => panic!("expected </stream:stream>, got {other:?} after\n{}", self.transcript()),
            }
        }
    }

    /// Expects one of these elements of stream management next. Requests for a count are left without an answer.
    #[track_caller]
    fn expects_answer(&mut self, names: &[&str]) -> Element {
        loop {
            match self.next(SOON) {
                Ok(Event::Element(element)) if is_request(&element) => {}
                Ok(Event::Element(answer))
                    if answer.namespace == SM && names.contains(&answer.name.as_str()) =>
                {
                    return answer;
                }
                other => panic!("expected one of {names:?}, got {other:?} after\n{}", self.transcript()),
            }
        }
    }
}

/// The count in `<a/>`, `<resumed/>` or `<failed/>`.
#[track_caller]
pub fn h(element: &Element) -> u32 {
    element.attribute("h").parse().unwrap_or_else(|error| panic!("{error}: {element}"))
}

/// Whether it requests a count.
pub fn is_request(element: &Element) -> bool {
    element.name == "r" && element.namespace == SM
}

/// The feature that offers stream management.
pub const OFFER: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
