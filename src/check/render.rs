//! Findings as text in the form of rustc: what is wrong, the position, the line, and what to do.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use status::escape::escaped;

use crate::{
    config::{
        finding::{Finding, Severity},
        source::Source,
    },
    text::{colours::Colours, wrap},
};

/// Renders a finding. The text ends with an empty line.
pub(super) fn render(finding: &Finding, source: &Source, colours: Colours) -> String {
    let (level, level_width) = match finding.severity {
        Severity::Problem | Severity::Flaw => (Level::ERROR, "error: ".len()),
        Severity::Warning => (Level::WARNING, "warning: ".len()),
        Severity::Note => (Level::NOTE, "note: ".len()),
    };
    let title = level.primary_title(wrapped(&escaped(&finding.title()), level_width));
    let file = escaped(&source.file().display().to_string()).into_owned();
    if finding.is_of_file() && finding.severity == Severity::Note {
        return renderer(colours).render(&[Group::with_title(title)]) + "\n\n";
    }
    let (group, margin) = if finding.is_of_file() {
        (title.element(Origin::path(file)), 0)
    } else {
        let line = source.line(finding.span.start);
        (title.element(snippet(finding, source, line).path(file)), line.to_string().len())
    };
    let group = match finding.help() {
        Some(help) => {
            let before = margin + " = help: ".len();
            group.element(Level::HELP.message(wrapped(&escaped(help), before)))
        }
        None => group,
    };
    renderer(colours).render(&[group]) + "\n\n"
}

fn renderer(colours: Colours) -> Renderer {
    let renderer = match colours {
        Colours::On => Renderer::styled(),
        Colours::Off => Renderer::plain(),
    };
    renderer.term_width(wrap::columns().unwrap_or(UNLIMITED))
}

/// The line of a finding, with the wrong part underlined.
fn snippet(finding: &Finding, source: &Source, line: usize) -> Snippet<'static, Annotation<'static>> {
    let (start, text) = source.line_text(line);
    let clamp = |offset: usize| {
        let mut at = offset.saturating_sub(start).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (from, to) = (clamp(finding.span.start), clamp(finding.span.end));
    // The finding is about the section, so its whole header is underlined.
    let header = from == to && text.trim_start().starts_with('[');
    let (from, to) = if header { (0, text.trim_end().len()) } else { (from, to) };
    let shown = without_secret(text);
    let cut = shown.len() < text.len();
    let (from, to) = (from.min(shown.len()), to.min(shown.len()));
    let mut snippet = String::new();
    let mut push = |part: &str| {
        // The renderer shows tabs and control characters itself; others would hide in its output.
        snippet.push_str(&escaped_but_tabs(part));
        snippet.len()
    };
    push(shown.get(..from).unwrap_or_default());
    let begin = push("");
    let end = push(shown.get(from..to).unwrap_or_default());
    push(shown.get(to..).unwrap_or_default());
    if cut {
        snippet.push('…');
    }
    let annotation = AnnotationKind::Primary.span(begin..end.max(begin));
    Snippet::source(snippet).line_start(line).annotation(annotation)
}

/// The line up to the value of a secret: operators send the output of `check` to others.
fn without_secret(line: &str) -> &str {
    let at = ["secret", "pass"].iter().filter_map(|word| line.find(word)).min();
    let shown = at.and_then(|at| {
        let (key, rest) = line[at..].split_once('=')?;
        let is_file = key.trim_end().ends_with("_file");
        (!is_file && !rest.trim().is_empty()).then(|| &line[..(at + key.len() + 2).min(line.len())])
    });
    shown.unwrap_or(line)
}

/// Breaks text between words to fit the terminal behind `before` columns. The renderer indents the further
/// lines.
fn wrapped(text: &str, before: usize) -> String {
    match wrap::columns() {
        Some(columns) => wrap::wrapped(text, columns.saturating_sub(before).max(1)).join("\n"),
        None => text.to_owned(),
    }
}

fn escaped_but_tabs(text: &str) -> String {
    text.split('\t').map(escaped).collect::<Vec<_>>().join("\t")
}

/// A width in columns that no line reaches, for output that does not go to a terminal.
const UNLIMITED: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::finding::Message;

    fn rendered(text: &str, span: std::ops::Range<usize>) -> String {
        let source = Source::new(Path::new("n.toml"), text);
        source.add(Severity::Problem, span, "x.y", Message::with_help("is wrong", "put it right"));
        render(&source.findings()[0], &source, Colours::Off)
    }

    #[test]
    fn the_wrong_part_is_underlined_in_its_line() {
        assert_eq!(
            rendered("a = 1\n[x]\ny =\t\"zz\" # ü\n", 14..18),
            "error: x.y: is wrong\n --> n.toml:3:5\n  |\n3 | y =    \"zz\" # ü\n  |        ^^^^\n  |\n  = help: put it right\n\n"
        );
    }

    #[test]
    fn a_finding_about_a_section_underlines_its_header() {
        assert!(rendered("[[domain]]\n", 0..0).contains("1 | [[domain]]\n  | ^^^^^^^^^^\n"));
    }

    #[test]
    fn secrets_and_escape_sequences_are_not_shown() {
        let text = rendered("dialback_secret = \"hush\"\n", 18..24);
        assert!(!text.contains("hush") && text.contains("dialback_secret = …\n"), "{text}");
        assert!(rendered("{ name = \"a\", secret = \"hush\" }", 2..6).contains("secret = …"));
        assert!(rendered("secret_file = \"there\"", 0..11).contains("there"));
        assert!(!rendered("a = \"\u{1b}[2J\"", 0..1).contains('\u{1b}'));
        assert!(!rendered("a = \"\u{200b}\"", 0..1).contains('\u{200b}'));
    }

    #[test]
    fn a_span_outside_of_the_text_is_rendered_without_a_panic() {
        for text in ["", "ü", "a = \"ü\"\r\nb", "secret = \"ü\"", "secret="] {
            for start in 0..20 {
                for end in 0..20 {
                    let _ = rendered(text, start..end);
                }
            }
        }
    }
}
