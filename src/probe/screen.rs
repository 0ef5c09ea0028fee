//! The report for a person.

use std::{collections::HashSet, fmt::Write as _};

use xmpp::DomainPair;

use super::{
    cause,
    report::Way,
    step::{Finding, Place, Step},
};
use crate::fit::{self, wrapped};
use status::escape::escaped;

/// Where the report is read, and how far it is.
pub(crate) struct Screen {
    pair: DomainPair,
    colours: bool,
    /// Of the step before.
    place: Option<Place>,
    /// Columns.
    width: usize,
    /// Causes that were explained; the second time only their names are shown.
    explained: HashSet<&'static str>,
}

impl Screen {
    /// An empty one.
    pub(crate) fn new(pair: &DomainPair, colours: bool) -> Self {
        let width = fit::columns().map_or(WIDTH, |columns| columns.clamp(NARROWEST, WIDTH));
        Self { pair: pair.clone(), colours, place: None, width, explained: HashSet::new() }
    }

    /// One step, below a heading where a new part begins.
    pub(crate) fn step(&mut self, step: &Step) -> String {
        let mut text = self.headings(&step.place);
        let (mark, colour) = match &step.finding {
            None if step.trouble => ("…", YELLOW),
            None => ("ok", GREEN),
            Some(finding) if finding.grave => ("FAILED", RED),
            Some(_) => ("note", YELLOW),
        };
        let width = self.width - INDENT;
        let mut lines = step.words.lines().flat_map(|line| wrapped(&printable(line), width));
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "  {} {:<12} {first}", self.paint(colour, &format!("{mark:<6}")), step.name);
        for line in lines {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
        if let Some(finding) = &step.finding {
            // The words may well say it already, after what leg of dialback it was on.
            if !step.words.ends_with(&finding.happened) && !step.words.starts_with(&finding.happened) {
                for line in wrapped(&printable(&finding.happened), width) {
                    let _ = writeln!(text, "{:INDENT$}{}", "", self.paint(colour, &line));
                }
            }
            text += &self.explain(finding);
        }
        text
    }

    /// The end.
    pub(crate) fn verdict(
        &self,
        way: Option<&Way>,
        grave: &[&Finding],
        odd: &[&Finding],
        untested: &[String],
    ) -> String {
        let DomainPair { local, remote } = &self.pair;
        let mut text = self.heading("Verdict");
        let _ = match way {
            Some(Way { at, mechanism }) => writeln!(
                text,
                "  {}  {local} reaches {remote} at {at} and is authenticated by {mechanism}.",
                self.paint(GREEN, "ok    "),
            ),
            None => {
                writeln!(text, "  {}  {local} does not get through to {remote}.", self.paint(RED, "FAILED"),)
            }
        };
        for finding in grave {
            let word = if !finding.own && way.is_none() { "because" } else { "also" };
            let side = if finding.own { "our own side: " } else { "" };
            let happened = format!("{side}{} [{}]", printable(&finding.happened), finding.cause.id);
            text += &self.hanging(&format!("  {word:<7} "), &happened);
        }
        match odd.len() {
            0 => {}
            1 => text += "  note    1 note above\n",
            notes => {
                let _ = writeln!(text, "  notes   {notes} notes above");
            }
        }
        for (nth, sentence) in untested.iter().enumerate() {
            if nth == 0 {
                text += &self.heading("Not tested");
            }
            text += &self.hanging("  - ", &printable(sentence));
        }
        text
    }

    /// A sentence behind a mark, with its further lines below its beginning.
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

    /// Rule, side and advice; of a cause that was explained before only the name.
    fn explain(&mut self, finding: &Finding) -> String {
        let cause = finding.cause;
        let width = self.width - INDENT - NAME;
        let again = !self.explained.insert(cause.id);
        let mut text = String::new();
        let mut line = |name: &str, words: &str| {
            let mut rest = wrapped(words, width).into_iter();
            let first = rest.next().unwrap_or_default();
            let _ = writeln!(text, "{:INDENT$}{} {first}", "", self.paint(DIM, &format!("{name:<6}")));
            for part in rest {
                let _ = writeln!(text, "{:width$}{part}", "", width = INDENT + NAME);
            }
        };
        if again {
            line("cause", &format!("{} (explained above)", cause.id));
            return text;
        }
        line("cause", cause.id);
        line("rule", cause.rule);
        line("who", &cause::side_in_words(cause.side, &self.pair));
        line("to do", &cause.advice(&self.pair));
        text
    }

    /// The headings between the step before and one at `place`.
    fn headings(&mut self, place: &Place) -> String {
        let before = self.place.replace(place.clone());
        let same = |part: fn(&Place) -> Option<String>| {
            before.as_ref().is_some_and(|before| part(before) == part(place))
        };
        let part = |place: &Place| Some(place.own.to_string());
        let mut text = String::new();
        if !same(part) {
            text += &self.heading(&match place.own {
                false => format!("The way to {}", self.pair.remote),
                true => format!("Our own side: {}", self.pair.local),
            });
        }
        let target = |place: &Place| Some(format!("{}{:?}{}", place.own, place.target, place.dialback_alone));
        if let Some(name) = place.target.as_ref().filter(|_| !same(target)) {
            let kind = match (place.dialback_alone, place.direct_tls) {
                (true, _) => "dialback alone, on a stream of its own",
                (_, true) => "direct TLS",
                (_, false) => "STARTTLS",
            };
            text += &self.heading(&format!("{}, {kind}", printable(name)));
        }
        let whole = |place: &Place| Some(format!("{place:?}"));
        if let Some(address) = place.address.filter(|_| !same(whole)) {
            let _ = writeln!(text, "  {}", self.paint(BOLD, &address.to_string()));
        }
        text
    }

    fn heading(&self, words: &str) -> String {
        format!("\n{}\n", self.paint(BOLD, words))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// As much of a text as helps, with hidden characters escaped.
fn printable(text: &str) -> String {
    let clean = escaped(text);
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.into_owned(),
    }
}

/// Columns before the words of a step: `  FAILED certificate  `.
const INDENT: usize = 22;

/// Columns before the words of an explanation: `cause  `.
const NAME: usize = 7;

/// A stream error may bring 10 KB of text.
const LONGEST: usize = 400;

/// Columns of a report that does not go to a terminal, and the most that are pleasant to read.
const WIDTH: usize = 110;

/// Columns below which the report is not fitted any more.
const NARROWEST: usize = 60;

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;
    use crate::probe::cause;

    fn screen(colours: bool) -> Screen {
        let domain = |name| Domain::new(name).unwrap();
        Screen::new(&DomainPair { local: domain("a.example"), remote: domain("b.example") }, colours)
    }

    #[test]
    fn a_failure_says_what_which_rule_who_and_what_to_do() {
        let step =
            Step::failed("tcp", &Place::default(), &cause::REFUSED, "192.0.2.7:5269 refused the connection");
        let expected = "
The way to b.example
  FAILED tcp          192.0.2.7:5269 refused the connection
                      cause  connection-refused
                      rule   RFC 6120 section 3.3, RFC 9293 section 3.5.2
                      who    the operator of b.example
                      to do  Nothing listens at that port: its operator has to start the server, open the port
                             or correct the SRV record.
";
        assert_eq!(screen(false).step(&step), expected);
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let step = Step::good("tcp", &Place::default(), "connected");
        assert!(screen(true).step(&step).contains(GREEN));
        assert!(!screen(false).step(&step).contains('\x1b'));
    }

    #[test]
    fn what_a_peer_says_cannot_upset_the_terminal() {
        let step = Step::good("stream", &Place::default(), "bad\x1b[2J\u{202e}\u{7}");
        assert!(screen(false).step(&step).contains(r"bad\u{1b}[2J\u{202e}\u{7}"));
        assert_eq!(printable(&"x".repeat(5000)).chars().count(), LONGEST + 1);
    }
}
