//! Reads the modules of a crate from its source files: the items that each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Token, close, flatten, is_test, is_word, skip};

/// One module, in a file of its own or inline.
pub(crate) struct Module {
    /// From the crate: `actors::dial::attempt`.
    pub(crate) path: String,
    pub(crate) file: PathBuf,
    /// The root has none.
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    pub(crate) items: BTreeSet<String>,
    pub(crate) names: Vec<Name>,
}

/// A path as it is written in the source.
pub(crate) struct Name {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) import: Import,
}

/// The name that a path brings into the scope of its module.
#[derive(PartialEq, Eq)]
pub(crate) enum Import {
    /// The path is not part of a `use`.
    None,
    As(String),
    Glob,
}

/// Reads a file. Returns `None` if it does not exist.
pub(crate) type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// Reads the modules of the crate `name`, without test code. The first module is the root.
///
/// # Errors
///
/// A module has no file, or a file is not Rust. The sentence names the file.
pub(crate) fn read(name: &str, root: &Path, read: Read<'_>) -> Result<Vec<Module>, String> {
    let mut reader = Reader { read, modules: Vec::new() };
    let tokens = reader.tokens(root)?;
    reader.add(
        name.to_owned(),
        None,
        &Place { file: root.to_path_buf(), directory: above(root) },
        &tokens,
    )?;
    Ok(reader.modules)
}

/// Where a module is.
struct Place {
    file: PathBuf,
    /// Of the files of its children.
    directory: PathBuf,
}

/// The items that begin with these words are named by the next one.
const NAMED: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

struct Reader<'a> {
    read: Read<'a>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    fn tokens(&self, file: &Path) -> Result<Vec<Token>, String> {
        let text = (self.read)(file).ok_or_else(|| format!("{}: cannot read this file", file.display()))?;
        flatten(&text).map_err(|error| format!("{}: this file is not Rust: {error}", file.display()))
    }

    /// Adds one module and all below it. Returns its index.
    fn add(
        &mut self,
        path: String,
        parent: Option<usize>,
        place: &Place,
        tokens: &[Token],
    ) -> Result<usize, String> {
        let index = self.modules.len();
        let (children, items, names) = <_>::default();
        self.modules.push(Module { path, file: place.file.clone(), parent, children, items, names });
        let top = tokens.first().map_or(0, |token| token.depth);
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let (mut at, mut chosen) = (0, None);
        while let Some(token) = tokens.get(at) {
            let next = text(at + 1);
            match token.text.as_str() {
                "#" if next == "[" || next == "!" => {
                    let open = if next == "[" { at + 1 } else { at + 2 };
                    let end = close(tokens, open);
                    let attribute = tokens.get(open + 1..end).unwrap_or_default();
                    at = match text(open + 1) {
                        "cfg" if is_test(attribute) => skip(tokens, end + 1),
                        "path" => {
                            chosen = Some(text(open + 3).trim_matches('"').to_owned());
                            end
                        }
                        // The paths in it are found like others.
                        _ => open,
                    };
                }
                "mod" if token.depth == top && is_word(next) => {
                    let body = close(tokens, at + 2);
                    let inline = (text(at + 2) == "{").then(|| tokens.get(at + 3..body).unwrap_or_default());
                    self.declare(index, place, next, chosen.take(), inline)?;
                    at = if inline.is_some() { body } else { at + 2 };
                }
                // `pub(in path)` names a module, and does not use it.
                "pub" if next == "(" => at = close(tokens, at + 1),
                "use" if is_word(next) || matches!(next, "::" | "{") => {
                    at = self.read_use(index, tokens, at + 1, &[]);
                }
                "macro_rules" if next == "!" => self.define(index, text(at + 2)),
                word if token.depth == top && NAMED.contains(&word) && is_word(next) => {
                    self.define(index, next);
                }
                word if is_word(word) => {
                    let mut segments = vec![word.to_owned()];
                    let before = at.checked_sub(1).map_or("", text);
                    while text(at + 1) == "::" && is_word(text(at + 2)) {
                        segments.push(text(at + 2).to_owned());
                        at += 2;
                    }
                    // A field, a method or a lifetime.
                    if !matches!(before, "." | "'") {
                        self.push(index, Name { segments, line: token.line, import: Import::None });
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Ok(index)
    }

    /// Adds a child: inline, or with a file of its own. See "The path attribute" in the Rust reference.
    fn declare(
        &mut self,
        parent: usize,
        place: &Place,
        name: &str,
        chosen: Option<String>,
        inline: Option<&[Token]>,
    ) -> Result<(), String> {
        if name == "tests" {
            return Ok(());
        }
        let path =
            self.modules.get(parent).map(|module| format!("{}::{name}", module.path)).unwrap_or_default();
        let below = place.directory.join(name);
        let child = if let Some(tokens) = inline {
            let directory = chosen.map_or(below, |chosen| above(&place.file).join(chosen));
            self.add(path, Some(parent), &Place { file: place.file.clone(), directory }, tokens)?
        } else {
            let old = below.join("mod.rs");
            let place = match chosen.map(|chosen| above(&place.file).join(chosen)) {
                Some(file) => Place { directory: above(&file), file },
                None if (self.read)(&old).is_some() => Place { file: old, directory: below },
                None => Place { file: place.directory.join(format!("{name}.rs")), directory: below },
            };
            let tokens = self.tokens(&place.file)?;
            self.add(path, Some(parent), &place, &tokens)?
        };
        if let Some(module) = self.modules.get_mut(parent) {
            module.children.insert(name.to_owned(), child);
        }
        Ok(())
    }

    /// Reads one tree of a `use`. Returns the index of the token after it.
    fn read_use(&mut self, index: usize, tokens: &[Token], mut at: usize, prefix: &[String]) -> usize {
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let mut segments = prefix.to_vec();
        let line = tokens.get(at).map_or(0, |token| token.line);
        loop {
            match text(at) {
                "::" => {}
                "{" => {
                    let end = close(tokens, at);
                    at += 1;
                    while at < end {
                        at = self.read_use(index, tokens, at, &segments) + 1;
                    }
                    return end + 1;
                }
                "*" => {
                    self.push(index, Name { segments, line, import: Import::Glob });
                    return at + 1;
                }
                "self" if !segments.is_empty() => {}
                word if is_word(word) && word != "as" => segments.push(word.to_owned()),
                _ => break,
            }
            at += 1;
        }
        let mut alias = segments.last().cloned().unwrap_or_default();
        if text(at) == "as" {
            text(at + 1).clone_into(&mut alias);
            at += 2;
        }
        self.push(index, Name { segments, line, import: Import::As(alias) });
        at
    }

    fn push(&mut self, index: usize, name: Name) {
        if let Some(module) = self.modules.get_mut(index) {
            module.names.push(name);
        }
    }

    fn define(&mut self, index: usize, name: &str) {
        if let Some(module) = self.modules.get_mut(index) {
            module.items.insert(name.to_owned());
        }
    }
}

fn above(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}
