//! A summary of a set of names from which another node reads the names that only one of the two has.
//!
//! It is an invertible Bloom lookup table (Eppstein and others, "What's the Difference?", SIGCOMM 2011). Each name is added to one
//! cell of each third of the table: the cell counts the names, and has the exclusive or of them. The difference of two tables has
//! the names of one set only, since a name of both cancels itself out. A cell with one name shows it; it is then taken out of
//! its other cells too, which may leave one name there, and so on. With up to ten differing names that nearly always finds all of
//! them, however many names the sets have in common.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// The table.
#[derive(Debug)]
pub(super) struct Sketch([Cell; CELLS]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// Names, of which those of the other set count negatively.
    count: u16,
    /// The exclusive or of the check sums of the names.
    check: u32,
    /// That of the names.
    name: Name,
}

/// A name in a fixed length: its length and its bytes; or [`LONG`], its beginning, and the rest of it as a hash.
type Name = [u8; WIDTH];

impl Sketch {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sketch = Self([Cell::EMPTY; CELLS]);
        for name in names {
            sketch.add(&pack(name), 1);
        }
        sketch
    }

    pub(super) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(CELLS * CELL);
        for Cell { count, check, name } in &self.0 {
            bytes.extend(count.to_be_bytes());
            bytes.extend(check.to_be_bytes());
            bytes.extend(name);
        }
        BASE64_STANDARD.encode(bytes)
    }

    /// Reads a table; `None`: it is none.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        if bytes.len() != CELLS * CELL {
            return None;
        }
        let mut cells = [Cell::EMPTY; CELLS];
        for (cell, bytes) in cells.iter_mut().zip(bytes.chunks_exact(CELL)) {
            let (count, rest) = bytes.split_first_chunk()?;
            let (check, name) = rest.split_first_chunk()?;
            *cell = Cell {
                count: u16::from_be_bytes(*count),
                check: u32::from_be_bytes(*check),
                name: name.try_into().ok()?,
            };
        }
        Some(Self(cells))
    }

    /// The names that only this set has, those that only the other one has, and whether these are all.
    pub(super) fn difference(&self, other: &Self) -> (Vec<String>, Vec<String>, bool) {
        let mut left = Self(self.0);
        for (cell, other) in left.0.iter_mut().zip(&other.0) {
            cell.adds(&other.name, other.check, other.count.wrapping_neg());
        }
        let (mut here, mut there) = (Vec::new(), Vec::new());
        // A table that somebody has invented may show names for ever.
        while here.len() + there.len() < CELLS {
            let Some(cell) = left.0.iter().find(|cell| cell.has_one()).copied() else { break };
            left.add(&cell.name, cell.count.wrapping_neg());
            if cell.count == 1 { here.push(unpack(&cell.name)) } else { there.push(unpack(&cell.name)) }
        }
        let is_complete = left.0.iter().all(|cell| *cell == Cell::EMPTY);
        (here, there, is_complete)
    }

    fn add(&mut self, name: &Name, count: u16) {
        let (check, places) = hash(name);
        for place in places {
            if let Some(cell) = self.0.get_mut(place) {
                cell.adds(name, check, count);
            }
        }
    }
}

impl Cell {
    const EMPTY: Self = Self { count: 0, check: 0, name: [0; WIDTH] };

    fn adds(&mut self, name: &Name, check: u32, count: u16) {
        self.count = self.count.wrapping_add(count);
        self.check ^= check;
        self.name.iter_mut().zip(name).for_each(|(own, other)| *own ^= other);
    }

    /// Whether it has one name, of either set.
    fn has_one(&self) -> bool {
        (self.count == 1 || self.count == u16::MAX) && hash(&self.name).0 == self.check
    }
}

/// The check sum of a name, and its cell in each third.
fn hash(name: &Name) -> (u32, [usize; THIRDS]) {
    let digest = Sha256::digest(name);
    let number = |place: usize| {
        let bytes: [u8; 4] = std::array::from_fn(|index| digest[4 * place + index]);
        u32::from_be_bytes(bytes)
    };
    let third = CELLS / THIRDS;
    (number(0), std::array::from_fn(|index| index * third + number(index + 1) as usize % third))
}

fn pack(text: &str) -> Name {
    let (mut name, bytes) = ([0; WIDTH], text.as_bytes());
    let (first, rest) = (&mut name[..1], bytes.len());
    if rest < WIDTH {
        first[0] = u8::try_from(rest).unwrap_or(LONG);
        name[1..=rest].copy_from_slice(bytes);
    } else {
        first[0] = LONG;
        name[1..WIDTH - HASH].copy_from_slice(&bytes[..WIDTH - HASH - 1]);
        name[WIDTH - HASH..].copy_from_slice(&Sha256::digest(bytes)[..HASH]);
    }
    name
}

fn unpack(name: &Name) -> String {
    match usize::from(name[0]) {
        length if length < WIDTH => String::from_utf8_lossy(&name[1..=length]).into_owned(),
        _ => format!("{}…", String::from_utf8_lossy(&name[1..WIDTH - HASH])),
    }
}

/// Cells of a table. In base64 it has 3.3 KB.
const CELLS: usize = 36;

/// A name is in one cell of each.
const THIRDS: usize = 3;

/// Bytes of a name in a cell. Longer names are shown by their beginning.
const WIDTH: usize = 64;

/// Bytes of a cell.
const CELL: usize = 2 + 4 + WIDTH;

/// In place of the length.
const LONG: u8 = u8::MAX;

/// Bytes of the hash of a long name.
const HASH: usize = 8;
