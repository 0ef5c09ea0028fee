//! Writes figures in the format of OpenMetrics 1.0 or in the older text format of Prometheus.

use std::fmt::{Display, Write as _};

use status::escape::{escaped, is_hidden};

/// The format that a scraper accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
    /// Version 0.0.4. The name of a counter in HELP and TYPE has its suffix.
    Text,
}

/// The type of a family of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// The names of its figures end with `_total`.
    Counter,
    Histogram,
}

impl Format {
    /// The format for an `Accept` header: OpenMetrics if the header names it.
    pub(super) fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// An exposition being written.
#[derive(Debug)]
pub(super) struct Exposition {
    format: Format,
    text: String,
}

/// A family being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family. A family without figures is written too, so that its name is known. A name that ends with one of
    /// [`UNITS`] has that unit.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let suffix = if kind == Kind::Counter && self.format == Format::Text { "_total" } else { "" };
        let word = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let text = &mut self.text;
        let _ = writeln!(text, "# HELP {name}{suffix} {}", escape(help));
        let _ = writeln!(text, "# TYPE {name}{suffix} {word}");
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(*unit)) {
            let _ = writeln!(text, "# UNIT {name}{suffix} {unit}");
        }
        Family { text, name, kind }
    }

    /// Ends the exposition. In the older format the end is a comment.
    pub(super) fn end(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

impl Family<'_> {
    /// A figure with these labels.
    pub(super) fn figure(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(suffix, labels, value)
    }

    /// A histogram: `buckets` has a count for each of `bounds`, and one for values above all bounds.
    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[f64],
        buckets: &[u64],
        sum: f64,
    ) -> &mut Self {
        let mut seen = 0;
        let ends = bounds.iter().map(|bound| decimal(*bound)).chain(["+Inf".to_owned()]);
        for (bound, count) in ends.zip(buckets) {
            seen += count;
            self.line("_bucket", &[labels, &[("le", &bound)]].concat(), seen);
        }
        self.line("_sum", labels, sum);
        self.line("_count", labels, seen)
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (nth, (name, value)) in labels.iter().enumerate() {
            let before = if nth == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{}\"", escape(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
        self
    }
}

/// A number with a decimal point.
fn decimal(number: f64) -> String {
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// Escapes a label value. Both formats allow it in help texts too.
fn escape(text: &str) -> String {
    let text = if text.contains(|c| c != '\n' && is_hidden(c)) { escaped(text) } else { text.into() };
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// The base units at the end of names.
const UNITS: [&str; 2] = ["seconds", "bytes"];

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut exposition = Exposition::new(format);
        exposition.family("a_things", Kind::Counter, "Things.").figure(&[("of", "x\"\\\ny")], 3);
        exposition.family("b_seconds", Kind::Histogram, "Time.").histogram(&[], &[0.1, 1.0], &[1, 0, 2], 7.5);
        exposition.end()
    }

    #[test]
    fn openmetrics_is_written_as_its_specification_says() {
        assert_eq!(
            written(Format::OpenMetrics),
            "# HELP a_things Things.\n# TYPE a_things counter\na_things_total{of=\"x\\\"\\\\\\ny\"} 3\n\
             # HELP b_seconds Time.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
             b_seconds_bucket{le=\"0.1\"} 1\nb_seconds_bucket{le=\"1.0\"} 1\nb_seconds_bucket{le=\"+Inf\"} 3\n\
             b_seconds_sum 7.5\nb_seconds_count 3\n# EOF\n"
        );
    }

    #[test]
    fn the_older_format_has_the_suffix_of_a_counter_in_its_head() {
        assert!(
            written(Format::Text)
                .starts_with("# HELP a_things_total Things.\n# TYPE a_things_total counter\n")
        );
    }

    #[test]
    fn a_scraper_gets_openmetrics_when_it_names_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::of(prometheus), Format::OpenMetrics);
        assert_eq!(Format::of("*/*"), Format::Text);
    }
}
