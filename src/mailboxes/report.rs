//! A log that was read to its end, in plain text.

use super::{
    board::Board,
    table::{self, Marks, Span},
};

/// The newest figures, the history of the whole log, and where a mailbox was full.
pub(super) fn text(board: &Board, marks: Marks) -> String {
    let kinds: Vec<_> = board.kinds().iter().collect();
    let (incidents, forgotten) = board.incidents();
    let mut lines: Vec<String> = Vec::new();
    if let Some(time) = board.latest() {
        lines.push(format!("as of {}", table::moment(time)));
    }
    lines.extend(table::of(&kinds, usize::MAX, Span::All, marks).into_iter().map(|row| row.text));
    lines.push(String::new());
    if incidents.is_empty() {
        lines.push("No mailbox was full.".to_owned());
    } else {
        lines
            .push("A mailbox was full (the peak reached the capacity, or messages were refused):".to_owned());
        lines.extend(table::incidents(&incidents).into_iter().map(|row| row.text));
    }
    if forgotten > 0 {
        lines.push(format!("{forgotten} more before those are not shown."));
    }
    if board.surplus() > 0 {
        lines.push(format!("{} lines of yet other actors were passed over.", board.surplus()));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(log: &str) -> Board {
        let mut board = Board::default();
        log.lines().for_each(|line| board.see(line.as_bytes()));
        board
    }

    #[test]
    fn yesterdays_log_says_what_was_full_when_and_for_whom() {
        let board = board(include_str!("yesterday.log"));
        assert_eq!(text(&board, Marks::BLOCKS), include_str!("yesterday.txt"));
    }

    #[test]
    fn a_quiet_log_says_so() {
        let board = board("mailbox actor=router instances=1 depth=0 deepest=- peak=1 capacity=4096 rate=0/s");
        let text = text(&board, Marks::ASCII);
        assert!(text.ends_with("\nNo mailbox was full.\n"), "{text}");
        assert!(text.lines().nth(1).is_some_and(|row| row.ends_with("  _")), "{text}");
    }
}
