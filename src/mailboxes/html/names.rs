//! The names of instances, each kept once, and a bounded number of them.

use std::collections::HashMap;

/// Names by their numbers.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Default for Names {
    /// With the name for all that have no place.
    fn default() -> Self {
        Self { names: vec![OTHERS.to_owned()], numbers: HashMap::new() }
    }
}

impl Names {
    /// The number of a name.
    pub(super) fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.names.len() > MOST {
            return 0;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// All names in the order of their numbers.
    pub(super) fn all(&self) -> &[String] {
        &self.names
    }

    /// The name with this number.
    pub(super) fn name(&self, number: usize) -> &str {
        self.names.get(number).map_or(OTHERS, String::as_str)
    }
}

/// Stands for the names above [`MOST`].
const OTHERS: &str = "(one of many others)";

/// Maximum number of names. With more remote servers that were the deepest, the later ones have no name.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_their_number_is_bounded() {
        let mut names = Names::default();
        let first = names.number("a.example");
        assert_eq!((names.number("a.example"), names.name(first)), (first, "a.example"));
        for number in 0..5000 {
            names.number(&format!("{number}.example"));
        }
        assert_eq!(names.all().len(), MOST + 1);
        assert_eq!(names.number("late.example"), 0);
        assert_eq!(names.number("a.example"), first);
    }
}
