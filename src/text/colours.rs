//! ANSI escape sequences (ECMA-48 section 8.3.117), and whether standard output gets them.

use std::{
    env,
    io::{self, IsTerminal as _},
};

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Text contains escape sequences.
    On,
    /// Text is plain.
    Off,
}

impl Colours {
    /// On if standard output is a terminal and `NO_COLOR` is unset or empty (no-color.org).
    pub(crate) fn of_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !unwanted { Self::On } else { Self::Off }
    }

    /// Puts `text` into a style, or returns it as it is if colours are off.
    pub(crate) fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::On => format!("{style}{text}{RESET}"),
            Self::Off => text.to_owned(),
        }
    }
}

pub(crate) const BOLD: &str = "\u{1b}[1m";
pub(crate) const DIM: &str = "\u{1b}[2m";
pub(crate) const RED: &str = "\u{1b}[31m";
pub(crate) const GREEN: &str = "\u{1b}[32m";
pub(crate) const YELLOW: &str = "\u{1b}[33m";
pub(crate) const CYAN: &str = "\u{1b}[36m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_escape_sequences_only_if_colours_are_on() {
        assert_eq!(Colours::On.paint(RED, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Colours::Off.paint(RED, "no"), "no");
    }
}
