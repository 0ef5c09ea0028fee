//! Stream features (RFC 6120 section 4.3.2).
use crate::{sasl, xml};
use xml::{Element, ns};

/// The offers in a `<stream:features/>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// STARTTLS, and whether it is required.
    pub starttls: Option<Necessity>,
    /// SASL EXTERNAL.
    pub external: bool,
    /// Dialback, with `<errors/>` or without (XEP-0220 section 2.4.2).
    pub dialback: bool,
    /// The limits of the announcing side (XEP-0478).
    pub limits: StreamLimits,
    /// Acks (XEP-0198), of the version `urn:xmpp:sm:3`.
    pub acks: bool,
    /// The name of a feature that is required and not supported here.
    pub unknown: Option<String>,
}

/// Whether a feature has to be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Necessity {
    /// It may be negotiated.
    Voluntary,
    /// It has to be negotiated first.
    Required,
}

/// The limits of the announcing side (XEP-0478).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// The limit for one first-level element, in bytes.
    pub max_bytes: Option<usize>,
    /// The seconds without traffic after which it closes the stream.
    pub idle_seconds: Option<u64>,
}

impl Features {
    /// Reads a `<stream:features/>`.
    pub(crate) fn parse(element: &Element) -> Self {
        let mut features = Self::default();
        for feature in element.elements() {
            let required = feature.elements().any(|child| child.name == "required");
            match (feature.namespace.as_str(), feature.name.as_str()) {
                (ns::TLS, "starttls") => {
                    features.starttls =
                        Some(if required { Necessity::Required } else { Necessity::Voluntary });
                }
                (ns::SASL, "mechanisms") => {
                    features.external =
                        feature.elements().any(|mechanism| mechanism.text().trim() == sasl::EXTERNAL);
                }
                (ns::DIALBACK_FEATURE, "dialback") => features.dialback = true,
                (ns::ACKS, "sm") => features.acks = true,
                (ns::LIMITS, "limits") => {
                    features.limits = StreamLimits {
                        max_bytes: number(feature, "max-bytes"),
                        idle_seconds: number(feature, "idle-seconds"),
                    };
                }
                (_, name) if required => features.unknown = Some(name.to_owned()),
                _ => {}
            }
        }
        features
    }

    pub(crate) fn element(&self) -> Element {
        let mut features = Element::new("features", ns::STREAM);
        if let Some(necessity) = self.starttls {
            let starttls = Element::new("starttls", ns::TLS);
            features = features.with_child(match necessity {
                Necessity::Required => starttls.with_child(Element::new("required", ns::TLS)),
                Necessity::Voluntary => starttls,
            });
        }
        if self.external {
            let mechanism = Element::new("mechanism", ns::SASL).with_text(sasl::EXTERNAL);
            features = features.with_child(Element::new("mechanisms", ns::SASL).with_child(mechanism));
        }
        if self.dialback {
            let errors = Element::new("errors", ns::DIALBACK_FEATURE);
            features = features.with_child(Element::new("dialback", ns::DIALBACK_FEATURE).with_child(errors));
        }
        if self.limits != StreamLimits::default() {
            features = features.with_child(self.limits.element());
        }
        if self.acks {
            features = features.with_child(Element::new("sm", ns::ACKS));
        }
        features
    }
}

impl StreamLimits {
    fn element(self) -> Element {
        let mut limits = Element::new("limits", ns::LIMITS);
        if let Some(bytes) = self.max_bytes {
            limits = limits.with_child(Element::new("max-bytes", ns::LIMITS).with_text(bytes.to_string()));
        }
        if let Some(seconds) = self.idle_seconds {
            limits =
                limits.with_child(Element::new("idle-seconds", ns::LIMITS).with_text(seconds.to_string()));
        }
        limits
    }
}

fn number<N: std::str::FromStr>(limits: &Element, name: &str) -> Option<N> {
    limits.child(name, ns::LIMITS)?.text().trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // C1, D2, F3, K8
    #[test]
    fn what_is_written_is_read() {
        for features in [
            Features::default(),
            Features { starttls: Some(Necessity::Required), ..Features::default() },
            Features { starttls: Some(Necessity::Voluntary), dialback: true, ..Features::default() },
            Features { dialback: true, acks: true, ..Features::default() },
            Features {
                external: true,
                limits: StreamLimits { max_bytes: Some(10_000), idle_seconds: Some(60) },
                ..Features::default()
            },
        ] {
            assert_eq!(Features::parse(&features.element()), features);
        }
    }

    // H11, H12
    #[test]
    fn only_the_third_version_of_acks_is_known() {
        let element = |version: &str| {
            let text = format!("<f:features xmlns:f='{}'><sm xmlns='{version}'/></f:features>", ns::STREAM);
            Features::parse(&Element::parse(text.as_bytes(), &[]).unwrap())
        };
        assert!(element("urn:xmpp:sm:3").acks);
        for other in ["urn:xmpp:sm:2", "urn:xmpp:sm:4", "urn:xmpp:sm:3 ", "jabber:server"] {
            assert!(!element(other).acks, "{other}");
        }
    }

    // B15
    #[test]
    fn a_required_feature_that_is_not_known_is_noted() {
        let element = |children: &str| {
            let text = format!("<f:features xmlns:f='{}'>{children}</f:features>", ns::STREAM);
            Features::parse(&Element::parse(text.as_bytes(), &[]).unwrap())
        };
        let required = element("<amqp xmlns='urn:example'><required/></amqp>");
        assert_eq!(required.unknown.as_deref(), Some("amqp"));
        assert_eq!(element("<amqp xmlns='urn:example'/>").unknown, None);
    }
}
