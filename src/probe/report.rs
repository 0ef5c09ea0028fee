//! What the probe has found so far; told as it comes, to a person or a machine, and summed up at the end.

use std::{
    collections::HashSet,
    io::{self, IsTerminal as _},
};

use xmpp::{DomainPair, policy::Mechanism};

use super::{
    cause, lines,
    screen::Screen,
    step::{Finding, Step},
    walk::SECRET_MADE_UP,
};
use crate::output;
use status::report::Side;

/// The report of one probe.
pub(crate) struct Report {
    pair: DomainPair,
    /// `None`: JSON.
    screen: Option<Screen>,
    findings: Vec<Finding>,
    /// Causes and places that need not be told twice.
    told: HashSet<(&'static str, String)>,
    /// What no failure explains: could not be tried.
    untested: Vec<String>,
    /// How the remote took us where it did, the first way.
    way: Option<Way>,
    /// What kept it from being told.
    unwritten: Option<io::Error>,
}

/// A way that works.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Target and address.
    pub(crate) at: String,
    /// What authenticated us.
    pub(crate) mechanism: Mechanism,
}

impl Report {
    /// Begins it.
    pub(crate) fn begin(pair: &DomainPair, json: bool) -> Self {
        let colours =
            io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = (!json).then(|| Screen::new(pair, colours));
        let mut report = Self {
            pair: pair.clone(),
            screen,
            findings: Vec::new(),
            told: HashSet::new(),
            untested: Vec::new(),
            way: None,
            unwritten: None,
        };
        if report.screen.is_some() {
            report.print(&format!("{} → {}\n", pair.local, pair.remote));
        }
        report
    }

    /// Tells a step.
    pub(crate) fn tell(&mut self, mut step: Step) {
        let finding = step.finding.as_ref().filter(|finding| !finding.grave && self.screen.is_some());
        let again = finding.is_some_and(|finding| {
            self.findings.iter().any(|told| told.cause == finding.cause && told.own == finding.own)
        });
        if again && step.finding.as_ref().is_some_and(|finding| finding.happened == step.words) {
            // A person has read it once; the words of the step say it again.
            step.finding = None;
        }
        let told = match &mut self.screen {
            Some(screen) => screen.step(&step),
            None => lines::step(&self.pair, &step),
        };
        self.print(&told);
        self.findings.extend(step.finding);
    }

    /// Tells something odd, unless it was told about the same thing before.
    pub(crate) fn tell_once(&mut self, about: &str, step: Step) {
        let cause = step.finding.as_ref().map_or("", |finding| finding.cause.id);
        if self.told.insert((cause, about.to_owned())) {
            self.tell(step);
        }
    }

    /// RecorderHandle what could not be tried, and why.
    pub(crate) fn untested(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.untested.contains(&sentence) {
            self.untested.push(sentence);
        }
    }

    /// RecorderHandle a way that works.
    pub(crate) fn works(&mut self, way: Way) {
        self.way.get_or_insert(way);
    }

    /// Whether a way works.
    pub(crate) fn is_good(&self) -> bool {
        self.way.is_some()
    }

    /// Sums up.
    ///
    /// # Errors
    /// Not all of it could be written.
    pub(crate) fn end(mut self) -> io::Result<()> {
        let (mut grave, odd) = (self.causes(true), self.causes(false));
        // First what the remote has to mend, then what we have, since the first keeps us from it for certain.
        grave.sort_by_key(|finding| (finding.own, finding.cause.side == Side::Local));
        let noted = odd.iter().chain(&grave).any(|finding| finding.cause == &cause::DIALBACK_UNTESTABLE);
        let told = |sentence: &String| self.screen.is_none() || !noted || sentence != SECRET_MADE_UP;
        let untested: Vec<String> = self.untested.iter().filter(|sentence| told(sentence)).cloned().collect();
        let verdict = match &self.screen {
            Some(screen) => screen.verdict(self.way.as_ref(), &grave, &odd, &untested),
            None => {
                lines::verdict(&self.pair, Some(&self.pair.local), self.way.as_ref(), &grave, &odd, &untested)
            }
        };
        self.print(&verdict);
        self.unwritten.map_or(Ok(()), Err)
    }

    /// Writes it at once; once that has failed, nothing more.
    fn print(&mut self, text: &str) {
        if self.unwritten.is_none() {
            self.unwritten = output::write(text).err();
        }
    }

    /// What was found, each cause once.
    fn causes(&self, grave: bool) -> Vec<&Finding> {
        let mut seen = HashSet::new();
        let wanted = self.findings.iter().filter(|finding| finding.grave == grave);
        wanted.filter(|finding| seen.insert(finding.cause.id)).collect()
    }
}
