//! Source text as a flat list of tokens.

use proc_macro2::{LexError, Spacing, TokenStream, TokenTree};

/// A word, a literal, a sign or a bracket.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// The number of brackets around it. A bracket is outside of itself.
    pub(crate) depth: usize,
}

/// # Errors
///
/// The text is not Rust.
pub(crate) fn flatten(text: &str) -> Result<Vec<Token>, LexError> {
    let mut tokens = Vec::new();
    add(text.parse()?, 0, &mut tokens);
    Ok(tokens)
}

fn add(stream: TokenStream, depth: usize, tokens: &mut Vec<Token>) {
    let mut joint = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut is_joint = false;
        match tree {
            TokenTree::Group(group) => {
                // All brackets look alike here, but for those of attributes and blocks.
                let (open, shut) = match group.delimiter() {
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    _ => ("(", ")"),
                };
                tokens.push(Token { text: open.to_owned(), line, depth });
                add(group.stream(), depth + 1, tokens);
                tokens.push(Token { text: shut.to_owned(), line: group.span_close().start().line, depth });
            }
            TokenTree::Punct(sign) => {
                let before = tokens.last_mut().filter(|_| joint);
                is_joint = sign.spacing() == Spacing::Joint;
                match before {
                    Some(before)
                        if matches!(sign.as_char(), ':' | '.') && before.text == sign.to_string() =>
                    {
                        before.text.push(sign.as_char());
                    }
                    _ => tokens.push(Token { text: sign.to_string(), line, depth }),
                }
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                tokens.push(Token { text: tree.to_string(), line, depth });
            }
        }
        joint = is_joint;
    }
}

/// Whether a token is a name or a keyword.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|one| one.is_alphanumeric() || matches!(one, '_' | '#'))
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn close(tokens: &[Token], open: usize) -> usize {
    let depth = tokens.get(open).map(|token| token.depth);
    let after = tokens.iter().skip(open + 1).position(|token| Some(token.depth) == depth);
    after.map_or(tokens.len(), |after| open + 1 + after)
}

/// Whether an attribute is `cfg(test)` or `cfg(all(…, test, …))`.
pub(crate) fn is_test(attribute: &[Token]) -> bool {
    let texts: Vec<_> = attribute.iter().map(|token| token.text.as_str()).collect();
    match texts.as_slice() {
        ["cfg", "(", "test", ")"] => true,
        ["cfg", "(", "all", rest @ ..] => {
            rest.contains(&"test") && !rest.contains(&"not") && !rest.contains(&"any")
        }
        _ => false,
    }
}

/// The index of the last token of the item, variant, field, arm or statement that begins at `at`.
pub(crate) fn skip(tokens: &[Token], mut at: usize) -> usize {
    let Some(depth) = tokens.get(at).map(|token| token.depth) else { return at };
    let mut is_item = false;
    while let Some(token) = tokens.get(at).filter(|token| token.depth >= depth) {
        match token.text.as_str() {
            _ if token.depth > depth => {}
            ";" | "}" => return at,
            "," if !is_item => return at,
            "fn" | "impl" | "struct" | "enum" | "trait" | "type" | "use" | "const" | "static" | "mod" => {
                is_item = true;
            }
            _ => {}
        }
        at += 1;
    }
    at.saturating_sub(1)
}
