//! Findings as a good compiler prints them: what, where, the line itself, and what to do.

use std::fmt::Write as _;

use crate::{
    config::finding::{Finding, Severity, Source},
    fit,
};
use status::escape::escaped;

/// Whether the output takes colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

/// One finding, as lines that end with an empty one.
pub(super) fn finding(finding: &Finding, source: &Source, colours: Colours) -> String {
    let mut out = String::new();
    let (word, colour) = match finding.severity {
        Severity::Problem | Severity::Flaw => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
        Severity::Note => ("note", GREEN),
    };
    let paint = |colour: &str, text: &str| match colours {
        Colours::On => format!("{BOLD}{colour}{text}{RESET}"),
        Colours::Off => text.to_owned(),
    };
    let title = hanging(&printable(&finding.title()), word.len() + 2, 2);
    let _ = writeln!(out, "{}{}", paint(colour, word), paint("", &format!(": {title}")));
    let file = printable(&source.file().display().to_string());
    if finding.is_of_file() && finding.severity == Severity::Note {
        return out;
    }
    if finding.is_of_file() {
        let _ = writeln!(out, " {} {file}", paint(BLUE, "-->"));
        if let Some(help) = finding.help() {
            let _ = writeln!(out, "  {} help: {}", paint(BLUE, "="), hanging(&printable(help), 10, 10));
        }
        return out + "\n";
    }
    let snippet = Snippet::of(finding, source);
    let number = snippet.line.to_string();
    let margin = " ".repeat(number.len());
    let bar = paint(BLUE, "|");
    let _ = writeln!(out, "{margin}{} {file}:{number}:{}", paint(BLUE, "-->"), snippet.column);
    let _ = writeln!(out, "{margin} {bar}");
    let _ = writeln!(out, "{} {bar} {}", paint(BLUE, &number), snippet.text);
    let under = format!("{}{}", " ".repeat(snippet.before), paint(colour, &"^".repeat(snippet.carets)));
    let _ = writeln!(out, "{margin} {bar} {under}");
    if let Some(help) = finding.help() {
        let indent = margin.len() + 9;
        let help = hanging(&printable(help), indent, indent);
        let _ = writeln!(out, "{margin} {bar}\n{margin} {} help: {help}", paint(BLUE, "="));
    }
    out + "\n"
}

/// The line that a finding is about, and what to underline.
struct Snippet {
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: String,
    /// How wide what stands before the underlined part is.
    before: usize,
    carets: usize,
}

impl Snippet {
    fn of(finding: &Finding, source: &Source) -> Self {
        let line = source.line(finding.span.start);
        let (start, whole) = source.line_text(line);
        let clamp = |offset: usize| {
            let mut at = offset.saturating_sub(start).min(whole.len());
            while !whole.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (from, to) = (clamp(finding.span.start), clamp(finding.span.end));
        // A header stands for its whole section.
        let header = from == to && whole.trim_start().starts_with('[');
        let (from, to) = if header { (0, whole.trim_end().len()) } else { (from, to) };
        let column = whole[..from].chars().count() + 1;
        let shown = hide_secret(whole);
        let (from, to) = (from.min(shown.len()), to.min(shown.len()));
        let carets = shown.get(from..to).map_or(1, |part| printable(part).chars().count().max(1));
        let before = shown.get(..from).map_or(0, |part| printable(part).chars().count());
        let mut text = printable(&shown);
        if shown.len() < whole.len() {
            text.push('…');
        }
        Self { line, column, text, before, carets }
    }
}

/// Cuts off a secret: what `check` prints gets into questions to others.
fn hide_secret(line: &str) -> String {
    let at = ["secret", "pass"].iter().filter_map(|word| line.find(word)).min();
    let shown = at.and_then(|at| {
        let (key, rest) = line[at..].split_once('=')?;
        let is_file = key.trim_end().ends_with("_file");
        (!is_file && !rest.trim().is_empty()).then(|| &line[..at + key.len() + 2])
    });
    shown.unwrap_or(line).to_owned()
}

/// Text that begins behind `before` columns and goes on behind `indent` ones, between words.
fn hanging(text: &str, before: usize, indent: usize) -> String {
    let Some(columns) = fit::columns() else { return text.to_owned() };
    let room = columns.saturating_sub(before.max(indent)).max(1);
    fit::wrapped(text, room).join(&format!("\n{}", " ".repeat(indent)))
}

/// Tabs as spaces, and hidden characters escaped.
fn printable(text: &str) -> String {
    escaped(&text.replace('\t', "    ")).into_owned()
}

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const GREEN: &str = "\u{1b}[32m";
const BLUE: &str = "\u{1b}[34m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::finding::Said;

    fn shown(text: &str, span: std::ops::Range<usize>) -> String {
        let source = Source::new(Path::new("n.toml"), text);
        source.find(Severity::Problem, span, "x.y", Said::with_help("is wrong", "put it right"));
        finding(&source.findings()[0], &source, Colours::Off)
    }

    #[test]
    fn what_is_wrong_is_underlined_in_its_line() {
        assert_eq!(
            shown("a = 1\n[x]\ny =\t\"zz\" # ü\n", 14..18),
            "error: x.y: is wrong\n --> n.toml:3:5\n  |\n3 | y =    \"zz\" # ü\n  |        ^^^^\n  |\n  = help: put it right\n\n"
        );
    }

    #[test]
    fn an_empty_span_of_a_header_is_the_header() {
        assert!(shown("[[domain]]\n", 0..0).contains("1 | [[domain]]\n  | ^^^^^^^^^^\n"));
    }

    #[test]
    fn secrets_and_escape_sequences_are_not_printed() {
        let text = shown("dialback_secret = \"hush\"\n", 18..24);
        assert!(!text.contains("hush") && text.contains("dialback_secret = …\n"), "{text}");
        assert!(shown("{ name = \"a\", secret = \"hush\" }", 2..6).contains("secret = …"));
        assert!(shown("secret_file = \"there\"", 0..11).contains("there"));
        assert!(!shown("a = \"\u{1b}[2J\"", 0..1).contains('\u{1b}'));
    }

    #[test]
    fn no_span_is_out_of_bounds() {
        for text in ["", "ü", "a = \"ü\"\r\nb", "secret = \"ü\""] {
            for start in 0..20 {
                for end in 0..20 {
                    // It has to be shown without a panic.
                    let _ = shown(text, start..end);
                }
            }
        }
    }
}
