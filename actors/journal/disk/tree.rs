//! Reads the records of a file that redb does not open: those that its tree of records leads to.
//!
//! A [`scan`](crate::scan) also finds records that were removed, since a file keeps their bytes. The tree leads only to
//! those that were there at the last commit. What is behind a damaged page is not found. The tree of the commit before is
//! not used, even if the last one is lost: between the two, records of delivered messages may have been removed long ago.
//!
//! The format is that of redb 2 (`header.rs`, `btree_base.rs`, `table_tree_base.rs` there). Nothing is taken on trust: a
//! page that is not consistent is left out, and each record has a checksum of its own.

use std::{cmp::Ordering, collections::HashSet, fs::File, io, os::unix::fs::FileExt as _};

/// Calls `found` with the key and the bytes of each record.
///
/// # Errors
/// The file cannot be read.
pub(super) fn walk(file: &File, found: &mut dyn FnMut(u64, &[u8])) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut head = [0; HEAD];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        read => read?,
    }
    let Some(layout) = Layout::of(&head) else { return Ok(()) };
    let mut tree = Tree { file, length, layout, visited: HashSet::new() };
    let Some(tables) = last_commit(&head).and_then(|slot| root(slot, SLOT_ROOT)) else { return Ok(()) };
    let mut records = None;
    tree.each(tables, Keys::Text, DEEPEST, &mut |name, definition| {
        if name == RECORDS {
            records = root(definition, TABLE_ROOT);
        }
    })?;
    let Some(records) = records else { return Ok(()) };
    tree.each(records, Keys::Number, DEEPEST, &mut |key, bytes| {
        if let Some(key) = key.first_chunk() {
            found(u64::from_le_bytes(*key), bytes);
        }
    })
}

/// The slot of the last commit; `None`: the header does not say clearly which it is.
fn last_commit(head: &[u8; HEAD]) -> Option<&[u8]> {
    let slot = |nth: usize| head.get(SLOTS + nth * SLOT..SLOTS + (nth + 1) * SLOT);
    let last = usize::from(head.get(FLAGS)? & 1 != 0);
    let (last, other) = (slot(last)?, slot(1 - last)?);
    let (number, other_number) = (number64(last, COMMIT)?, number64(other, COMMIT)?);
    match number.cmp(&other_number) {
        Ordering::Greater => Some(last),
        // The flag is written last, or is damaged.
        Ordering::Less if other_number - number <= MOST_UNUSED => Some(other),
        Ordering::Less | Ordering::Equal => None,
    }
}

/// Where the pages are.
struct Layout {
    page: u64,
    /// Bytes of a region.
    region: u64,
    /// Bytes of the head of a region.
    region_head: u64,
}

impl Layout {
    fn of(head: &[u8; HEAD]) -> Option<Self> {
        let page = u64::from(number32(head, PAGE_SIZE)?);
        let (heads, pages) = (number32(head, REGION_HEAD_PAGES)?, number32(head, REGION_PAGES)?);
        let is_valid = page == 4096 && heads < 1 << 20 && (1..=1 << 20).contains(&pages);
        is_valid.then_some(Self {
            page,
            region: (u64::from(heads) + u64::from(pages)) * page,
            region_head: u64::from(heads) * page,
        })
    }

    /// The place and the length of a page.
    fn place(&self, page: u64) -> (u64, u64) {
        let order = page >> 59;
        let (index, region) = (page & (0xF_FFFF >> order.min(20)), page >> 20 & 0xF_FFFF);
        let length = self.page << order;
        (self.page + region * self.region + self.region_head + index * length, length)
    }
}

/// The keys of a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Of any length.
    Text,
    /// Of eight bytes.
    Number,
}

struct Tree<'a> {
    file: &'a File,
    length: u64,
    layout: Layout,
    /// Pages that were read: a damaged one must not lead in a circle.
    visited: HashSet<u64>,
}

impl Tree<'_> {
    /// Calls `visit` with each key and value below a page.
    fn each(
        &mut self,
        page: u64,
        keys: Keys,
        deepest: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let Some(bytes) = self.read(page)? else { return Ok(()) };
        let count = usize::from(
            bytes.get(2..4).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u16::from_le_bytes),
        );
        match bytes.first() {
            Some(&LEAF) => leaf(&bytes, count, keys, visit),
            Some(&BRANCH) if deepest > 0 => {
                let children = 8 + CHECKSUM * (count + 1);
                for nth in 0..=count {
                    if let Some(child) = number64(&bytes, children + 8 * nth) {
                        self.each(child, keys, deepest - 1, visit)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The bytes of a page; `None` if it is not in the file, was read, or is longer than any page of this program.
    fn read(&mut self, page: u64) -> io::Result<Option<Vec<u8>>> {
        let (place, length) = self.layout.place(page);
        if length > LONGEST || place >= self.length || !self.visited.insert(page) {
            return Ok(None);
        }
        // Of a page that was cut, the first entries may be there.
        let there = usize::try_from(length.min(self.length - place)).unwrap_or_default();
        let mut bytes = vec![0; there];
        match self.file.read_exact_at(&mut bytes, place) {
            // A part of the disk cannot be read.
            Err(_) => Ok(None),
            Ok(()) => Ok(Some(bytes)),
        }
    }
}

/// Calls `visit` with each key and value of a leaf.
fn leaf(bytes: &[u8], count: usize, keys: Keys, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // The ends of the keys if their lengths differ, the ends of the values, the keys, the values.
    let (key_ends, value_ends) = match keys {
        Keys::Text => (Some(4), 4 + 4 * count),
        Keys::Number => (None, 4),
    };
    let first_key = value_ends + 4 * count;
    let end = |ends: usize, nth: usize| number32(bytes, ends + 4 * nth).map(|end| end as usize);
    let key_end = |nth: usize| match key_ends {
        Some(ends) => end(ends, nth),
        None => Some(first_key + 8 * (nth + 1)),
    };
    let Some(first_value) = count.checked_sub(1).and_then(key_end) else { return };
    for nth in 0..count {
        let key_start = nth.checked_sub(1).map_or(Some(first_key), key_end);
        let value_start = nth.checked_sub(1).map_or(Some(first_value), |nth| end(value_ends, nth));
        let key = key_start.zip(key_end(nth)).and_then(|(start, end)| bytes.get(start..end));
        let value = value_start.zip(end(value_ends, nth)).and_then(|(start, end)| bytes.get(start..end));
        if let Some((key, value)) = key.zip(value) {
            visit(key, value);
        }
    }
}

/// The page of the root that is described at `at`, behind the byte that tells whether there is one.
fn root(bytes: &[u8], (is_there, at): (usize, usize)) -> Option<u64> {
    number64(bytes, at).filter(|_| bytes.get(is_there).is_some_and(|there| *there != 0))
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..at.checked_add(4)?)?.first_chunk()?))
}

fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..at.checked_add(8)?)?.first_chunk()?))
}

/// Bytes of the header of a file.
const HEAD: usize = 320;

/// The places in the header.
const FLAGS: usize = 9;
const PAGE_SIZE: usize = 12;
const REGION_HEAD_PAGES: usize = 16;
const REGION_PAGES: usize = 20;
const SLOTS: usize = 64;

/// Bytes of a slot for a commit.
const SLOT: usize = 128;

/// The places in a slot that tell whether there is a tree of tables, and where.
const SLOT_ROOT: (usize, usize) = (1, 8);

/// The place of the number of the commit in a slot.
const COMMIT: usize = 104;

/// Numbers of commits that are not used one after the other: those of transactions that were given up. A greater
/// difference means that one of the numbers is damaged.
const MOST_UNUSED: u64 = 16;

/// The same places as in a slot, in the description of a table: its type and the number of its records are in front.
const TABLE_ROOT: (usize, usize) = (9, 10);

/// The types of pages.
const LEAF: u8 = 1;
const BRANCH: u8 = 2;

/// Bytes of the checksum of a page.
const CHECKSUM: usize = 16;

/// The name of the table of the records.
const RECORDS: &[u8] = b"records";

/// The levels of a tree: a page has a hundred children, so six levels are more than any file needs.
const DEEPEST: usize = 16;

/// Bytes of a page: that of the longest record, rounded up to a power of two.
const LONGEST: u64 = 64 << 20;
