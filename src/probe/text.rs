//! The report as text: the result, what is wrong and what to do, what was not tested, and the steps.
//!
//! Each finding is explained once, with a number. The steps refer to the numbers.

use std::fmt::Write as _;

use status::escape::escaped;
use xmpp::DomainPair;

use super::{
    cause,
    step::{Finding, Location, Step},
    subject::Subject,
    verdict::{Path, Verdict},
};
use crate::text::{
    colours::{BOLD, Colours, DIM, GREEN, RED, YELLOW},
    width::padded,
    wrap::wrapped,
};

/// The steps of a report, until the verdict is known.
pub(crate) struct TextReport {
    subject: Subject,
    colours: Colours,
    /// Columns.
    width: usize,
    steps: Vec<Step>,
}

impl TextReport {
    /// A report without steps for a terminal of this width; `None`: it goes elsewhere.
    pub(crate) fn new(subject: &Subject, colours: Colours, width: Option<usize>) -> Self {
        let width = width.map_or(WIDTH, |columns| columns.clamp(MIN_WIDTH, WIDTH));
        Self { subject: subject.clone(), colours, width, steps: Vec::new() }
    }

    /// Adds a step.
    pub(crate) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The whole text.
    pub(crate) fn text(&self, verdict: &Verdict<'_>) -> String {
        let listed: Vec<&Finding> = verdict.failures.iter().chain(&verdict.notes).copied().collect();
        let mut text = self.result(verdict);
        for (finding, number) in listed.iter().zip(1..) {
            text += &self.finding(finding, number);
        }
        for (nth, untested) in verdict.untested.iter().enumerate() {
            if nth == 0 {
                text += &self.heading("Not tested");
            }
            text += &self.hanging("  - ", &printable(&untested.sentence(&self.subject.pair)));
        }
        let mut before = None;
        for step in &self.steps {
            text += &self.headings(before, &step.location);
            text += &self.step(step, &listed);
            before = Some(&step.location);
        }
        text
    }

    /// The result, in one sentence.
    fn result(&self, verdict: &Verdict<'_>) -> String {
        let DomainPair { local, remote } = &self.subject.pair;
        let (word, colour, sentence) = match (verdict.path, verdict.unknown) {
            (Some(Path { at, mechanism, consequence, .. }), _) => (
                "reachable",
                GREEN,
                format!(
                    "{local} can send to {remote} at {},\nauthenticated by {mechanism}; {consequence}.",
                    place(at)
                ),
            ),
            (None, Some(only)) => ("unknown", YELLOW, only.sentence(remote)),
            (None, None) => ("not reachable", RED, format!("{local} cannot send to {remote}.")),
        };
        let sentence = format!("{word}: {sentence}");
        let lines: Vec<String> =
            sentence.lines().flat_map(|line| wrapped(&printable(line), self.width)).collect();
        let lines = lines.join("\n");
        format!("{}\n", lines.replacen(word, &self.colours.paint(colour, word), 1))
    }

    /// A finding with its cause, the rule of a standard, the side that has to act, and advice.
    fn finding(&self, finding: &Finding, number: usize) -> String {
        let (word, colour) = mark(finding);
        let side = if finding.own { "our own side: " } else { "" };
        let number = format!("{number}. ");
        let indent = number.len() + MARK;
        let text = self.hanging(&" ".repeat(indent), &format!("{side}{}", printable(&finding.text)));
        let mark = self.colours.paint(colour, &padded(word, MARK));
        let mut text = format!("\n{number}{mark}{}", text.trim_start());
        let cause = finding.cause;
        let side = cause::side_in_words(cause.side, &self.subject.pair);
        let advice = self.subject.advice(finding);
        for (label, words) in [("cause", cause.id), ("rule", cause.rule), ("who", &side), ("to do", &advice)]
        {
            let before = format!("{:indent$}{label:<LABEL$}", "");
            let line = self.hanging(&before, words);
            text += &line.replacen(label, &self.colours.paint(DIM, label), 1);
        }
        text
    }

    /// A step. Its finding is among those that were listed before it.
    fn step(&self, step: &Step, listed: &[&Finding]) -> String {
        let (word, colour) = match &step.finding {
            None if step.trouble => ("…", YELLOW),
            None if step.nothing_found => ("none", DIM),
            None => ("ok", GREEN),
            Some(finding) => mark(finding),
        };
        let lines = step.lines_with(|finding| {
            let is_same =
                |known: &Finding| known.cause.id == finding.cause.id && known.fatal == finding.fatal;
            match listed.iter().zip(1..).find(|(known, _)| is_same(known)) {
                // The text is above.
                Some((known, number)) if known.text == finding.text => {
                    format!("{}: see {number}", finding.cause.id)
                }
                Some((_, number)) => format!("{} (see {number})", finding.text),
                None => finding.text.clone(),
            }
        });
        let width = self.width - INDENT;
        let mut lines = lines.iter().flat_map(|line| wrapped(&printable(line), width));
        let mark = self.colours.paint(colour, &padded(word, MARK_OF_STEP));
        let mut text = format!("  {mark} {:<12} {}\n", step.kind.as_str(), lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
        text
    }

    /// A sentence after a mark. Its further lines begin below its first.
    fn hanging(&self, mark: &str, sentence: &str) -> String {
        let before = mark.chars().count();
        let mut text = String::new();
        for (nth, line) in wrapped(sentence, self.width - before).iter().enumerate() {
            let _ = match nth {
                0 => writeln!(text, "{mark}{line}"),
                _ => writeln!(text, "{:before$}{line}", ""),
            };
        }
        text
    }

    /// The headings between a step at `before` and one at `location`.
    fn headings(&self, before: Option<&Location>, location: &Location) -> String {
        let changed =
            |differs: fn(&Location, &Location) -> bool| before.is_none_or(|before| differs(before, location));
        let mut text = String::new();
        if changed(|before, now| before.own != now.own) {
            text += &self.heading(&match location.own {
                false => format!("Connecting to {}", self.subject.pair.remote),
                true => format!("Our own side: {}", self.subject.pair.local),
            });
        }
        let other_target = changed(|before, now| {
            (before.own, &before.target, before.dialback_alone) != (now.own, &now.target, now.dialback_alone)
        });
        if let Some(target) = location.target.as_ref().filter(|_| other_target) {
            let kind = match (location.dialback_alone, location.direct_tls) {
                (true, _) => "dialback only, on a separate stream",
                (_, true) => "direct TLS",
                (_, false) => "STARTTLS",
            };
            text += &self.heading(&format!("{}, {kind}", printable(target)));
        }
        if let Some(address) = location.address.filter(|_| changed(|before, now| before != now)) {
            let address = address.to_string();
            // A target without a name is its address, which the heading shows already.
            if location.target.as_ref() != Some(&address) {
                let _ = writeln!(text, "  {}", self.colours.paint(BOLD, &address));
            }
        }
        text
    }

    fn heading(&self, words: &str) -> String {
        format!("\n{}\n", self.colours.paint(BOLD, words))
    }
}

/// The target and its address, or only the address if the target has no name.
fn place(at: &str) -> &str {
    match at.split_once(" (") {
        Some((target, address)) if address.strip_suffix(')') == Some(target) => target,
        _ => at,
    }
}

/// The word before a finding, and its colour.
fn mark(finding: &Finding) -> (&'static str, &'static str) {
    if finding.fatal { ("FAILED", RED) } else { ("note", YELLOW) }
}

/// Text with hidden characters escaped, cut to [`MAX_TEXT`] characters.
fn printable(text: &str) -> String {
    let clean = escaped(text);
    match clean.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.into_owned(),
    }
}

/// Columns of the mark of a step: `FAILED`.
const MARK_OF_STEP: usize = 6;

/// Columns before the text of a step: `  FAILED certificate  `.
const INDENT: usize = 22;

/// Columns of the mark of a finding and the space after it: `FAILED  `.
const MARK: usize = 8;

/// Columns before the text of an explanation: `cause  `.
const LABEL: usize = 7;

/// Maximum number of characters of a line. A stream error may contain 10 KB of text.
const MAX_TEXT: usize = 400;

/// Columns of a report that does not go to a terminal. In wider terminals, longer lines would be hard to
/// read.
const WIDTH: usize = 110;

/// Minimum number of columns of a report. In narrower terminals, lines are broken by the terminal.
const MIN_WIDTH: usize = 60;

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;
    use crate::{probe::step::Kind, text::width::width};

    /// The text of a report without a path that works.
    fn shown(colours: Colours, columns: Option<usize>, steps: Vec<Step>) -> String {
        let domain = |name| Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        let mut report = TextReport::new(&Subject::of(pair), colours, columns);
        let findings: Vec<Finding> = steps.iter().filter_map(|step| step.finding.clone()).collect();
        steps.into_iter().for_each(|step| report.add(step));
        let first = findings.first().into_iter().collect();
        report.text(&Verdict { path: None, failures: first, notes: vec![], untested: vec![], unknown: None })
    }

    fn refused(address: &str) -> Step {
        let text = format!("{address} refused the connection");
        Step::failed(Kind::Tcp, &Location::default(), &cause::REFUSED, text)
    }

    #[test]
    fn the_result_comes_first_and_a_failure_is_explained_once() {
        let steps = vec![
            Step::ok(Kind::Dns, &Location::default(), "b.example A"),
            refused("192.0.2.7:5269"),
            refused("192.0.2.8:5269"),
        ];
        let shown = shown(Colours::Off, None, steps);
        let (above, steps) = shown.split_once("\nConnecting to b.example\n").unwrap();
        let expected = "\
not reachable: a.example cannot send to b.example.

1. FAILED  192.0.2.7:5269 refused the connection
           cause  connection-refused
           rule   RFC 6120 section 3.3, RFC 9293 section 3.5.2
           who    the operator of b.example
           to do  ";
        assert!(above.starts_with(expected), "{shown}");
        let expected = [
            "  ok     dns          b.example A",
            "  FAILED tcp          connection-refused: see 1",
            "  FAILED tcp          192.0.2.8:5269 refused the connection (see 1)",
        ];
        assert_eq!(steps.lines().collect::<Vec<_>>(), expected, "{shown}");
    }

    #[test]
    fn marks_have_colours_only_if_colours_are_on() {
        let step = || vec![Step::ok(Kind::Tcp, &Location::default(), "connected")];
        assert!(shown(Colours::On, None, step()).contains(GREEN));
        assert!(!shown(Colours::Off, None, step()).contains('\x1b'));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [60, 80, 100] {
            let shown = shown(Colours::Off, Some(columns), vec![refused("192.0.2.7:5269")]);
            assert!(shown.lines().all(|line| width(line) <= columns), "{columns}:\n{shown}");
        }
    }

    #[test]
    fn an_address_is_shown_once() {
        assert_eq!(place("192.0.2.7:5269 (192.0.2.7:5269)"), "192.0.2.7:5269");
        assert_eq!(place("xmpp.b.example:5269 (192.0.2.7:5269)"), "xmpp.b.example:5269 (192.0.2.7:5269)");
    }

    #[test]
    fn text_of_a_peer_is_escaped_and_cut() {
        let step = Step::ok(Kind::Stream, &Location::default(), "bad\x1b[2J\u{202e}\u{7}");
        assert!(shown(Colours::Off, None, vec![step]).contains(r"bad\u{1b}[2J\u{202e}\u{7}"));
        assert_eq!(printable(&"x".repeat(5000)).chars().count(), MAX_TEXT + 1);
    }
}
