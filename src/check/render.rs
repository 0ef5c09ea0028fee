//! Findings as text in the form of rustc: what is wrong, the position, the line, and what to do.

use std::ops::Range;

use annotate_snippets::{self as snippets, Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use status::escape::escaped;

use crate::{
    config::{
        finding::{Finding, Severity},
        source::Source,
    },
    text::{colours::Colours, wrap},
};

/// Findings that say the same, in several places of the file.
pub(super) struct Group {
    /// With the names of all of them.
    pub(super) finding: Finding,
    /// The parts of the file, in the order of the file.
    places: Vec<Range<usize>>,
}

impl Group {
    /// Puts together what says the same.
    pub(super) fn all(findings: Vec<Finding>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for finding in findings {
            match groups.iter_mut().find_map(|group| group.finding.absorb(&finding).then_some(group)) {
                Some(group) => group.places.push(finding.span),
                None => groups.push(Self { places: vec![finding.span.clone()], finding }),
            }
        }
        groups
    }
}

/// Renders findings that say the same. The text ends with an empty line.
pub(super) fn render(group: &Group, source: &Source, colours: Colours) -> String {
    let Group { finding, places } = group;
    let (level, level_width) = match finding.severity {
        Severity::Problem | Severity::Flaw => (Level::ERROR, "error: ".len()),
        Severity::Warning => (Level::WARNING, "warning: ".len()),
        Severity::Note => (Level::NOTE, "note: ".len()),
    };
    let title = level.primary_title(wrapped(&escaped(&finding.title()), level_width));
    let file = escaped(&source.file().display().to_string()).into_owned();
    if finding.is_of_file() && finding.severity == Severity::Note {
        return renderer(colours).render(&[snippets::Group::with_title(title)]) + "\n\n";
    }
    let lines: Vec<&[Range<usize>]> =
        places.chunk_by(|one, next| source.line(one.start) == source.line(next.start)).collect();
    let numbers = || lines.iter().flat_map(|places| places.first()).map(|place| source.line(place.start));
    let (group, margin) = if finding.is_of_file() {
        (title.element(Origin::path(file)), 0)
    } else {
        let snippets = lines.iter().take(SNIPPETS).map(|places| snippet(places, source).path(file.clone()));
        let margin = numbers().take(SNIPPETS).max().unwrap_or_default().to_string().len();
        (title.elements(snippets), margin)
    };
    let more: Vec<String> = numbers().skip(SNIPPETS).map(|line| line.to_string()).collect();
    let group = match more.as_slice() {
        [] => group,
        more => {
            let text = format!("the same on line {}", more.join(", "));
            group.element(Level::NOTE.message(wrapped(&text, margin + " = note: ".len())))
        }
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

/// The line of some places, with the wrong parts underlined.
fn snippet(places: &[Range<usize>], source: &Source) -> Snippet<'static, Annotation<'static>> {
    let line = source.line(places.first().map_or(0, |place| place.start));
    let (start, text) = source.line_text(line);
    let shown = without_secret(text);
    // The renderer shows tabs and control characters itself; others would hide in its output.
    let mut snippet = escaped_but_tabs(shown);
    if shown.len() < text.len() {
        snippet.push('…');
    }
    let annotations: Vec<_> = places
        .iter()
        .map(|place| {
            let (from, to) = part(place, start, text);
            // In the line as it is shown.
            let at = |to: usize| escaped_but_tabs(&shown[..to.min(shown.len())]).len();
            AnnotationKind::Primary.span(at(from)..at(to.max(from)))
        })
        .collect();
    Snippet::source(snippet).line_start(line).annotations(annotations)
}

/// The part of a line that a place is. The line begins at `start`.
fn part(place: &Range<usize>, start: usize, text: &str) -> (usize, usize) {
    let clamp = |offset: usize| {
        let mut at = offset.saturating_sub(start).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (from, to) = (clamp(place.start), clamp(place.end));
    // The finding is about the section, so its whole header is underlined.
    let is_header = from == to && text.trim_start().starts_with('[');
    if is_header { (0, text.trim_end().len()) } else { (from, to) }
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

/// Places of which the line is shown. Others have its number.
const SNIPPETS: usize = 4;

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
        all_rendered(&source)
    }

    fn all_rendered(source: &Source) -> String {
        let groups = Group::all(source.findings());
        groups.iter().map(|group| render(group, source, Colours::Off)).collect()
    }

    #[test]
    fn what_is_wrong_in_several_places_is_said_once() {
        let text = "aa = 1\n".repeat(6);
        let source = Source::new(Path::new("n.toml"), &text);
        for line in [3, 1, 0, 2, 4, 5] {
            let span = 7 * line..7 * line + 2;
            source.add(Severity::Warning, span.clone(), "x.aa", Message::with_help("is bad", "mend it"));
            source.add(Severity::Warning, span, "x.aa", Message::with_help("is bad", "mend it"));
        }
        source.add(Severity::Warning, 0..2, "x.aa", "is worse");
        let shown = all_rendered(&source);
        assert_eq!(shown.matches("is bad").count(), 1, "{shown}");
        assert_eq!(shown.matches("mend it").count(), 1, "{shown}");
        assert_eq!(shown.matches("is worse").count(), 1, "{shown}");
        for place in ["n.toml:1:1", "n.toml:2:1", "n.toml:3:1", "n.toml:4:1", "the same on line 5, 6\n"] {
            assert!(shown.contains(place), "no {place} in {shown}");
        }
    }

    #[test]
    fn several_places_in_one_line_are_underlined_in_it() {
        let source = Source::new(Path::new("n.toml"), "a = [1, 2]\n");
        for span in [5..6, 8..9] {
            source.add(Severity::Warning, span, "x", "is bad");
        }
        let shown = all_rendered(&source);
        assert!(shown.contains("1 | a = [1, 2]\n  |      ^  ^\n"), "{shown}");
    }

    #[test]
    fn findings_about_several_names_are_one() {
        let source = Source::new(Path::new("n.toml"), "a = 1\nb = 2\n");
        for (span, name) in
            [(0..1, "one.example"), (0..1, "two.example"), (6..7, "two.example"), (6..7, "b.example")]
        {
            source.add(
                Severity::Warning,
                span,
                "x",
                Message::of_name("not good: ", name, " cannot be served"),
            );
        }
        let shown = all_rendered(&source);
        let title = "warning: x: not good: one.example, two.example, b.example cannot be served\n";
        assert!(shown.starts_with(title) && shown.matches("warning").count() == 1, "{shown}");
        let findings = source.findings();
        assert_eq!(findings.len(), 2, "a log line has the names of one place: {findings:?}");
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
