//! What is saved of a file that cannot be opened: nothing that was removed.

use super::*;

/// The file of a process that was killed, after it had removed the first half of the records.
struct Sound {
    directory: Directory,
    bytes: Vec<u8>,
}

impl Sound {
    fn new() -> Self {
        let directory = Directory::new();
        let path = directory.file("sound.redb");
        let (mut journal, _) = open(&path, None).unwrap();
        for key in 1..=COUNT {
            journal.write(key, &record(key), key).unwrap();
            if key % 1000 == 0 {
                journal.commit(clock::now());
            }
        }
        (1..=COUNT / 2).for_each(|key| journal.forget(key));
        while journal.has_changes() {
            journal.commit(clock::now());
        }
        let bytes = fs::read(&path).unwrap();
        Self { directory, bytes }
    }
}

/// What is restored after the damage: in order, as it was written, and nothing that was removed.
fn restored_after(sound: &Sound, damage: impl FnOnce(&Path)) -> (usize, Restored) {
    let path = sound.directory.file("waiting.redb");
    fs::write(&path, &sound.bytes).unwrap();
    damage(&path);
    let (_, restored) = open(&path, None).unwrap();
    let found = keys(&restored);
    assert!(found.is_sorted_by(|one, next| one < next));
    assert!(found.iter().all(|key| (COUNT / 2 + 1..=COUNT).contains(key)), "one that was removed came back");
    for (key, read) in &restored.records {
        assert_eq!(read.stanza, record(*key).stanza);
    }
    assert!(restored.next > found.last().copied().unwrap_or_default());
    let again = keys(&open(&path, None).unwrap().1);
    assert_eq!(again, found, "they are in the new file");
    fs::remove_file(&path).unwrap();
    (found.len(), restored)
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn behind_a_damaged_begin_everything_is_saved() {
    let (saved, restored) = restored_after(&Sound::new(), |path| write_at(path, 0, b"xxxx"));
    assert_eq!(saved as u64, COUNT / 2);
    assert_eq!(restored.set_aside.unwrap().saved, COUNT / 2);
}

#[test]
fn of_a_cut_file_nothing_comes_back_that_was_removed() {
    let sound = Sound::new();
    for part in [1, 4, 8, 12, 15] {
        let (_, restored) = restored_after(&sound, |path| {
            let length = fs::metadata(path).unwrap().len();
            OpenOptions::new().write(true).open(path).unwrap().set_len(length / 16 * part).unwrap();
        });
        assert!(restored.set_aside.is_some(), "{part}");
    }
}

#[test]
fn pages_that_are_damaged_all_over_the_file_never_bring_back_what_was_removed() {
    let (sound, mut sum) = (Sound::new(), 0);
    for round in 0..8_u64 {
        let (saved, _) = restored_after(&sound, |path| {
            let pages = fs::metadata(path).unwrap().len() / 4096;
            for nth in 0..pages / 50 {
                // Not the header. Spread over the file, and the same in each run.
                let page = 1 + (round * 1000 + nth).wrapping_mul(0x9E37_79B9_7F4A_7C15) % (pages - 1);
                write_at(path, page * 4096, &[0xAA; 4096]);
            }
        });
        sum += saved as u64;
    }
    assert!(sum > 8 * COUNT / 2 / 4, "{sum}");
}

#[test]
fn encrypted_records_are_saved_with_their_key() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    let cipher = Cipher::new(&[1; 32]);
    filled(&path, 500, Some(&cipher));
    write_at(&path, 0, b"xxxx");
    assert_eq!(keys(&open(&path, Some(&cipher)).unwrap().1), (1..=500).collect::<Vec<_>>());
}

const COUNT: u64 = 6000;
