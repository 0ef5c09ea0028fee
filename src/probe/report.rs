//! The report of a probe. As JSON each step is printed as it is taken, as text all is printed at the end, the result first.

use std::{collections::HashSet, io};

use status::report::Side;
use xmpp::certificate::Problem;

use super::{
    cause, jsonl,
    progress::Progress,
    step::{Finding, Step},
    subject::Subject,
    text::TextReport,
    verdict::{OnlyDialback, Path, Untested, Verdict},
};
use crate::{
    output,
    text::{colours::Colours, wrap},
};

/// The report of one probe.
pub(crate) struct Report {
    subject: Subject,
    format: Format,
    findings: Vec<Finding>,
    /// Causes and subjects of [`Report::add_once`].
    added: HashSet<(&'static str, String)>,
    untested: Vec<Untested>,
    /// The first path that works.
    path: Option<Path>,
    /// The first path that was not tested.
    unknown: Option<OnlyDialback>,
    /// The first error of standard output.
    write_error: Option<io::Error>,
}

enum Format {
    Text(TextReport, Progress),
    Json,
}

impl Report {
    /// Begins a report.
    pub(crate) fn begin(subject: Subject, json: bool) -> Self {
        let format = match json {
            true => Format::Json,
            false => {
                let text = TextReport::new(&subject, Colours::of_stdout(), wrap::columns());
                Format::Text(text, Progress::begin(&subject.pair))
            }
        };
        Self {
            subject,
            format,
            findings: Vec::new(),
            added: HashSet::new(),
            untested: Vec::new(),
            path: None,
            unknown: None,
            write_error: None,
        }
    }

    /// Adds a step.
    pub(crate) fn add(&mut self, step: Step) {
        let repeated = step.finding.as_ref().is_some_and(|finding| {
            !finding.fatal
                && self.findings.iter().any(|known| known.cause == finding.cause && known.own == finding.own)
        });
        self.findings.extend(step.finding.clone());
        match &mut self.format {
            Format::Text(text, progress) => {
                progress.show(&step);
                // In text, a note that is in the list already is shown as a plain step.
                let plain = repeated && step.is_only_finding();
                text.add(if plain { step.without_finding() } else { step });
            }
            Format::Json => self.print(&jsonl::step(&self.subject, &step)),
        }
    }

    /// Adds a step with a note, unless there was one with the same cause about the same subject.
    pub(crate) fn add_once(&mut self, subject: &str, step: Step) {
        let cause = step.finding.as_ref().map_or("", |finding| finding.cause.id);
        if self.added.insert((cause, subject.to_owned())) {
            self.add(step);
        }
    }

    /// Adds something that was not tested.
    pub(crate) fn add_untested(&mut self, untested: Untested) {
        if !self.untested.contains(&untested) {
            self.untested.push(untested);
        }
    }

    /// Adds a path that works.
    pub(crate) fn add_path(&mut self, path: Path) {
        self.path.get_or_insert(path);
    }

    /// Adds a path that was not tested, since only dialback is left on it.
    pub(crate) fn add_only_dialback(&mut self, certificate: Option<Problem>) {
        self.unknown.get_or_insert(OnlyDialback { certificate });
    }

    /// Whether there is a path that works.
    pub(crate) fn has_path(&self) -> bool {
        self.path.is_some()
    }

    /// Prints the verdict, and as text the whole report.
    ///
    /// # Errors
    /// A part of the report could not be written.
    pub(crate) fn end(mut self) -> io::Result<()> {
        let (mut failures, notes) = (self.causes(true), self.causes(false));
        // Failures that the remote server must fix come first: they occur whatever our side does.
        failures.sort_by_key(|finding| (finding.own, finding.cause.side == Side::Local));
        let has_secret_note =
            notes.iter().chain(&failures).any(|finding| finding.cause == &cause::DIALBACK_UNTESTABLE);
        let is_text = matches!(self.format, Format::Text(..));
        // The note explains it already.
        let repeated =
            |untested: &&Untested| is_text && has_secret_note && **untested == Untested::DialbackSecret;
        let untested = self.untested.iter().filter(|untested| !repeated(untested)).collect();
        let (path, unknown) = (self.path.as_ref(), self.unknown.as_ref());
        let verdict = Verdict { path, failures, notes, untested, unknown };
        let shown = match &self.format {
            Format::Text(text, progress) => {
                progress.end();
                text.text(&verdict)
            }
            Format::Json => jsonl::verdict(&self.subject, Some(&self.subject.pair.local), &verdict),
        };
        self.print(&shown);
        self.write_error.map_or(Ok(()), Err)
    }

    /// Prints text, unless an earlier write failed.
    fn print(&mut self, text: &str) {
        if self.write_error.is_none() {
            self.write_error = output::write(text).err();
        }
    }

    /// The findings, each cause once.
    fn causes(&self, fatal: bool) -> Vec<&Finding> {
        let mut seen = HashSet::new();
        let findings = self.findings.iter().filter(|finding| finding.fatal == fatal);
        findings.filter(|finding| seen.insert(finding.cause.id)).collect()
    }
}
