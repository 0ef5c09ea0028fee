//! Stream errors as elements (RFC 6120 section 4.9): reading, writing, and their text.
use crate::{acks, policy, truncate::truncate, xml};
use std::fmt;

mod condition;
mod fault;

pub use condition::Condition;
pub(crate) use fault::Fault;

/// A stream error (RFC 6120 section 4.9). `Display` gives the condition and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The defined condition. An unknown one reads as `UndefinedCondition`.
    pub condition: Condition,
    /// The text, which may be empty.
    pub text: String,
    /// The name of the application-specific condition, if there was one.
    pub application: Option<String>,
    /// The other host, with `SeeOtherHost`.
    pub other_host: Option<String>,
    /// The refusal by our policy that this error of ours reports. The peer gets it as the text.
    pub refusal: Option<Box<policy::Refusal>>,
    /// The counts, with `handled-count-too-high` (XEP-0198 section 6).
    pub too_high: Option<acks::TooHigh>,
}

impl Error {
    /// An error with a condition and a text, which may be empty.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self {
            condition,
            text: text.into(),
            application: None,
            other_host: None,
            refusal: None,
            too_high: None,
        }
    }

    /// Reads a `<stream:error/>`. Long texts are truncated.
    pub fn parse(element: &xml::Element) -> Self {
        let mut error = Self::new(Condition::UndefinedCondition, "");
        for child in element.elements() {
            match (child.namespace.as_str(), child.name.as_str()) {
                (xml::ns::STREAM_ERRORS, "text") => error.text = truncate(&child.text()).into_owned(),
                (xml::ns::STREAM_ERRORS, name) => {
                    error.condition = Condition::parse(name).unwrap_or(Condition::UndefinedCondition);
                    if error.condition == Condition::SeeOtherHost {
                        error.other_host = Some(truncate(child.text().trim()).into_owned());
                    }
                }
                (_, name) => {
                    error.application = Some(truncate(name).into_owned());
                    error.too_high = acks::TooHigh::parse(child);
                }
            }
        }
        error
    }

    pub(crate) fn element(&self) -> xml::Element {
        let mut condition = xml::Element::new(self.condition.as_str(), xml::ns::STREAM_ERRORS);
        if let Some(host) = &self.other_host {
            condition = condition.with_text(host);
        }
        let mut error = xml::Element::new("error", xml::ns::STREAM).with_child(condition);
        if !self.text.is_empty() {
            let text = xml::Element::new("text", xml::ns::STREAM_ERRORS).with_text(&*self.text);
            error = error.with_child(text);
        }
        match self.too_high {
            Some(too_high) => error.with_child(too_high.element()),
            None => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        if let Some(application) = &self.application {
            write!(f, ", {application}")?;
        }
        match self.text.as_str() {
            "" => Ok(()),
            text => write!(f, " ({text})"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{condition::CONDITIONS, *};

    #[test]
    fn every_condition_reads_as_it_is_written() {
        for (condition, _) in CONDITIONS {
            let error = Error::new(condition, "why <not>");
            let mut read = Error::parse(&error.element());
            read.other_host = None;
            assert_eq!(read, error);
        }
    }

    // H9
    #[test]
    fn a_count_that_is_too_high_is_written_and_read() {
        let error = Error::from(acks::TooHigh { h: 10, sent: 8 });
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(Error::parse(&error.element()), error);
        let written = error.element().write(xml::ns::SERVER, &[("stream", xml::ns::STREAM)]);
        let detail = r#"<handled-count-too-high xmlns="urn:xmpp:sm:3" h="10" send-count="8"/>"#;
        assert!(written.contains(detail), "{written}");
    }

    // H9
    #[test]
    fn a_count_that_decreases_has_the_condition_of_one_that_is_too_high_and_its_own_text() {
        let error = Error::from(acks::WrongCount::Decreased(acks::Decreased { h: 4, acked: 5, sent: 8 }));
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(error.text, "'h' is 4, and 5 stanzas were acknowledged before");
        assert_eq!(Error::parse(&error.element()), error);
        assert_eq!(error.application.as_deref(), Some("handled-count-too-high"));
        assert_eq!(error.too_high, Some(acks::TooHigh { h: 4, sent: 8 }));
    }

    // B32
    #[test]
    fn a_made_up_condition_is_undefined() {
        let error = xml::Element::new("error", xml::ns::STREAM)
            .with_child(xml::Element::new("tired", xml::ns::STREAM_ERRORS))
            .with_child(xml::Element::new("nap", "urn:example"));
        let error = Error::parse(&error);
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert_eq!(error.to_string(), "undefined-condition, nap");
    }

    // B33
    #[test]
    fn another_host_is_read_with_its_port() {
        let condition =
            xml::Element::new("see-other-host", xml::ns::STREAM_ERRORS).with_text("[2001:db8::1]:5270");
        let error = Error::parse(&xml::Element::new("error", xml::ns::STREAM).with_child(condition));
        assert_eq!(error.other_host.as_deref(), Some("[2001:db8::1]:5270"));
    }
}
