//! The report as text.

use std::{collections::HashSet, fmt::Write as _};

use status::escape::escaped;
use xmpp::DomainPair;

use super::{
    cause,
    step::{Finding, Location, Step},
    verdict::{Path, Verdict},
};
use crate::text::{
    colours::{BOLD, Colours, DIM, GREEN, RED, YELLOW},
    wrap::{self, wrapped},
};

/// Renders the steps of a report in their order.
pub(crate) struct TextReport {
    pair: DomainPair,
    colours: Colours,
    /// The location of the step before.
    location: Option<Location>,
    /// Columns.
    width: usize,
    /// Causes that were explained; later findings show only their names.
    explained: HashSet<&'static str>,
}

impl TextReport {
    /// A report without steps.
    pub(crate) fn new(pair: &DomainPair, colours: Colours) -> Self {
        let width = wrap::columns().map_or(WIDTH, |columns| columns.clamp(MIN_WIDTH, WIDTH));
        Self { pair: pair.clone(), colours, location: None, width, explained: HashSet::new() }
    }

    /// A step, with headings if its location differs from that of the step before.
    pub(crate) fn step(&mut self, step: &Step) -> String {
        let mut text = self.headings(&step.location);
        let (mark, colour) = match &step.finding {
            None if step.trouble => ("…", YELLOW),
            None if step.nothing_found => ("none", DIM),
            None => ("ok", GREEN),
            Some(finding) if finding.fatal => ("FAILED", RED),
            Some(_) => ("note", YELLOW),
        };
        let width = self.width - INDENT;
        let lines = step.lines();
        let mut lines = lines.iter().flat_map(|line| wrapped(&printable(line), width));
        let first = lines.next().unwrap_or_default();
        let mark = self.colours.paint(colour, &format!("{mark:<6}"));
        let _ = writeln!(text, "  {mark} {:<12} {first}", step.kind.as_str());
        for line in lines {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
        if let Some(finding) = &step.finding {
            text += &self.explain(finding);
        }
        text
    }

    /// The verdict.
    pub(crate) fn verdict(&self, verdict: &Verdict<'_>) -> String {
        let DomainPair { local, remote } = &self.pair;
        let mut text = self.heading("Verdict");
        let _ = match (verdict.path, verdict.unknown) {
            (Some(Path { at, mechanism, consequence, .. }), _) => writeln!(
                text,
                "  {}  {local} can send to {remote} at {at}, authenticated by {mechanism};\n          {consequence}.",
                self.colours.paint(GREEN, "ok    "),
            ),
            (None, Some(only)) => {
                let sentence = self.hanging("  unknown ", &only.sentence(remote));
                write!(text, "{}", sentence.replacen("unknown", &self.colours.paint(YELLOW, "unknown"), 1))
            }
            (None, None) => {
                let failed = self.colours.paint(RED, "FAILED");
                writeln!(text, "  {failed}  {local} cannot send to {remote}.")
            }
        };
        let decided = verdict.path.is_some() || verdict.unknown.is_some();
        for finding in &verdict.failures {
            let word = if finding.own || decided { "also" } else { "because" };
            let side = if finding.own { "our own side: " } else { "" };
            let sentence = format!("{side}{} [{}]", printable(&finding.text), finding.cause.id);
            text += &self.hanging(&format!("  {word:<7} "), &sentence);
        }
        match verdict.notes.len() {
            0 => {}
            1 => text += "  note    1 note above\n",
            notes => {
                let _ = writeln!(text, "  notes   {notes} notes above");
            }
        }
        for (nth, untested) in verdict.untested.iter().enumerate() {
            if nth == 0 {
                text += &self.heading("Not tested");
            }
            text += &self.hanging("  - ", &printable(&untested.sentence(&self.pair)));
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

    /// The cause of a finding with its rule, the side that has to act, and advice. A cause that was explained
    /// before is only named.
    fn explain(&mut self, finding: &Finding) -> String {
        let cause = finding.cause;
        let width = self.width - INDENT - LABEL;
        let repeated = !self.explained.insert(cause.id);
        let mut text = String::new();
        let mut line = |label: &str, words: &str| {
            let mut rest = wrapped(words, width).into_iter();
            let first = rest.next().unwrap_or_default();
            let label = self.colours.paint(DIM, &format!("{label:<6}"));
            let _ = writeln!(text, "{:INDENT$}{label} {first}", "");
            for part in rest {
                let _ = writeln!(text, "{:width$}{part}", "", width = INDENT + LABEL);
            }
        };
        if repeated {
            line("cause", &format!("{} (explained above)", cause.id));
            return text;
        }
        line("cause", cause.id);
        line("rule", cause.rule);
        line("who", &cause::side_in_words(cause.side, &self.pair));
        line("to do", &cause.advice(&self.pair));
        text
    }

    /// The headings between the step before and one at `location`.
    fn headings(&mut self, location: &Location) -> String {
        let before = self.location.replace(location.clone());
        let changed = |differs: fn(&Location, &Location) -> bool| {
            before.as_ref().is_none_or(|before| differs(before, location))
        };
        let mut text = String::new();
        if changed(|before, now| before.own != now.own) {
            text += &self.heading(&match location.own {
                false => format!("Connecting to {}", self.pair.remote),
                true => format!("Our own side: {}", self.pair.local),
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

/// Text with hidden characters escaped, cut to [`MAX_TEXT`] characters.
fn printable(text: &str) -> String {
    let clean = escaped(text);
    match clean.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.into_owned(),
    }
}

/// Columns before the text of a step: `  FAILED certificate  `.
const INDENT: usize = 22;

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
    use crate::probe::step::Kind;

    fn report(colours: Colours) -> TextReport {
        let domain = |name| Domain::new(name).unwrap();
        TextReport::new(&DomainPair { local: domain("a.example"), remote: domain("b.example") }, colours)
    }

    #[test]
    fn a_failure_has_a_cause_a_rule_a_side_and_advice() {
        let text = "192.0.2.7:5269 refused the connection";
        let step = Step::failed(Kind::Tcp, &Location::default(), &cause::REFUSED, text);
        let shown = report(Colours::Off).step(&step);
        let expected = "
Connecting to b.example
  FAILED tcp          192.0.2.7:5269 refused the connection
                      cause  connection-refused
                      rule   RFC 6120 section 3.3, RFC 9293 section 3.5.2
                      who    the operator of b.example
                      to do  ";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    fn marks_have_colours_only_if_colours_are_on() {
        let step = Step::ok(Kind::Tcp, &Location::default(), "connected");
        assert!(report(Colours::On).step(&step).contains(GREEN));
        assert!(!report(Colours::Off).step(&step).contains('\x1b'));
    }

    #[test]
    fn text_of_a_peer_is_escaped_and_cut() {
        let step = Step::ok(Kind::Stream, &Location::default(), "bad\x1b[2J\u{202e}\u{7}");
        assert!(report(Colours::Off).step(&step).contains(r"bad\u{1b}[2J\u{202e}\u{7}"));
        assert_eq!(printable(&"x".repeat(5000)).chars().count(), MAX_TEXT + 1);
    }
}
