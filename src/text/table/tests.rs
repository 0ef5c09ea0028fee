//! Tables at several widths, and hostile cells.

use super::*;

fn table(columns: &[Column], rows: &[&[&str]]) -> Table {
    let mut table = Table::new(columns);
    rows.iter().for_each(|row| table.row(row.iter().map(|cell| Cell::from(*cell))));
    table
}

#[test]
fn cells_are_aligned_to_their_columns() {
    let rows: &[&[&str]] = &[&["a.example > bücher.example", "12"], &["a > 例え", "1"]];
    let left = table(&[Column::new("pair"), Column::new("stanzas")], rows);
    let expected = [
        "pair                        stanzas",
        "a.example > bücher.example  12",
        "a > 例え                    1",
    ];
    assert_eq!(left.lines(None), expected);
    assert_eq!(left.lines(Some(80)), expected);
    let right = table(&[Column::new("pair"), Column::new("stanzas").right()], rows);
    assert_eq!(right.lines(None)[1], "a.example > bücher.example       12");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
    let row: Vec<String> = (0..12).map(|nth| format!("value{nth} and more")).collect();
    let names = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10", "a11"];
    let columns: Vec<Column> =
        names.iter().zip(0..).map(|(name, rank)| Column::new(name).rank(rank)).collect();
    let mut table = Table::new(columns);
    table.row(row.iter().map(|cell| Cell::from(cell.as_str())));
    let words: Vec<&str> = row.iter().flat_map(|cell| cell.split(' ')).collect();
    for columns in [40, 60, 80, 100, 120, 150] {
        let lines = table.lines(Some(columns));
        assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:#?}");
        let text = lines.join(" ");
        assert!(words.iter().all(|word| text.contains(word)), "{columns}: {text}");
    }
}

#[test]
fn hostile_cells_fit_every_width() {
    let long = "x".repeat(300);
    let zalgo = format!("{} b.example", "e\u{301}".repeat(200));
    let rows = [
        [long.as_str(), "例え例え例え例え例え例え > 例え", "例え ".repeat(40).leak()],
        ["\u{1b}[31mred\u{202e}", &zalgo, &long],
        ["", "", ""],
    ];
    let columns = [
        Column::new("link").middle(20),
        Column::new("pair").rank(1).middle(10),
        Column::new("text").rank(2).words(44),
    ];
    for further in [Further::Below, Further::LeftOut] {
        let mut table = Table { further, ..Table::new(columns) };
        rows.iter().for_each(|row| table.row(row.iter().map(|cell| Cell::from(*cell))));
        for columns in 1..200 {
            let lines = table.lines(Some(columns));
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:#?}");
            assert!(!lines.iter().any(|line| line.contains('\u{1b}')), "{lines:#?}");
        }
    }
}

#[test]
fn a_long_last_column_is_broken_between_words() {
    let mut table =
        Table::without_header([Column::new("time"), Column::new("what"), Column::new("details").words(44)]);
    table.row(["12:00", "no link", "one two three four five six seven eight nine ten"].map(Cell::from));
    let expected = ["12:00  no link  one two three four five six seven eight nine", "                ten"];
    assert_eq!(table.lines(Some(62)), expected);
    let expected = ["12:00  no link", "    one two three four five six seven eight", "    nine ten"];
    assert_eq!(table.lines(Some(45)), expected);
}

#[test]
fn columns_without_room_are_left_out_by_rank_or_go_below() {
    let columns = [
        Column::new("pair").middle(20),
        Column::new("kept").rank(1),
        Column::new("state").rank(2),
        Column::new("address").rank(3),
        Column::new("reason").rank(4).words(44),
    ];
    let rows: &[&[&str]] = &[
        &["chat.example > b.example", "-", "paused", "192.0.2.7:5269", "the server closed the connection"],
        &["chat.example > c.example", "-", "connecting", "-", "-"],
    ];
    let below = table(&columns, rows);
    let expected = [
        "pair                      state",
        "chat.example > b.example  paused",
        "    address 192.0.2.7:5269",
        "    reason: the server closed the",
        "    connection",
        "chat.example > c.example  connecting",
    ];
    assert_eq!(below.lines(Some(40)), expected);
    let left_out = table(&columns, rows).one_line_each().fitted(Some(40));
    assert_eq!(left_out.left_out, ["address"]);
    let without_address: Vec<_> = expected.iter().filter(|line| !line.contains("address")).collect();
    assert_eq!(left_out.lines.iter().collect::<Vec<_>>(), without_address);
}

#[test]
fn short_forms_are_used_before_anything_is_left_out() {
    let mut table =
        Table::new([Column::new("pair").middle(20), Column::new("since").rank(1)]).one_line_each();
    table.row([Cell::from("chat.example > b.example"), Cell::with_short("12:03:04 (34 s ago)", "34 s ago")]);
    assert_eq!(table.lines(Some(50))[1], "chat.example > b.example  12:03:04 (34 s ago)");
    assert_eq!(table.lines(Some(40))[1], "chat.example > b.example  34 s ago");
    assert_eq!(table.lines(Some(32))[1], "chat…ample > b.example  34 s ago");
    assert_eq!(table.fitted(Some(28)).left_out, ["since"]);
    assert_eq!(table.lines(None)[1], "chat.example > b.example  12:03:04 (34 s ago)");
}

#[test]
fn long_forms_return_where_a_column_has_left_room() {
    let mut table =
        Table::new([Column::new("pair"), Column::new("since").rank(1), Column::new("fingerprint").rank(2)])
            .one_line_each();
    let since = Cell::with_short("12:03:04 (34 s ago)", "34 s ago");
    table.row([Cell::from("a > b"), since, Cell::from("0123456789abcdef")]);
    assert_eq!(table.lines(Some(40)), ["pair   since     fingerprint", "a > b  34 s ago  0123456789abcdef"]);
    assert_eq!(table.lines(Some(30))[1], "a > b  12:03:04 (34 s ago)");
}

#[test]
fn hidden_characters_in_cells_are_escaped() {
    let mut table = Table::without_header([Column::new(""), Column::new("")]);
    table.row(["bye\n\u{1b}[31mred\u{202e}", "x"].map(Cell::from));
    assert_eq!(table.lines(None), ["bye\\n\\u{1b}[31mred\\u{202e}  x"]);
}
