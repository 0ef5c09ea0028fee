//! The changes that an element needs on another stream (RFC 6120 sections 4.8.3 and 4.8.5).
//!
//! The default namespace of the other stream is that of the element, under another name. So prefixes for it
//! are removed where it is the default namespace there, and declarations of it where it is inherited. Both
//! stay inside an element that declares another default namespace, or its content would change its meaning.

use super::scope::{Found, Scope};
use super::tag::Tag;
use super::{Change, Elsewhere, Head, What};
use std::ops::Range;

/// The state at the position of the walk.
#[derive(Debug, Default)]
pub(super) struct Relocation {
    /// The namespace of the whole element, if it is a content namespace.
    own: Option<&'static str>,
    /// The state inside the innermost open element.
    ground: Ground,
}

/// The default namespace at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ground {
    /// The namespace of the whole element, on both streams.
    Own,
    /// The namespace of the whole element on the other stream. On this one another, which the stream or the
    /// first start tag declares.
    Displaced,
    /// Another namespace on both streams, which an element in between declares.
    #[default]
    Other,
}

/// The facts that the end tag of an element needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entered {
    /// The state outside.
    outside: Ground,
    /// The length of the removed prefix of its name.
    cut: u32,
}

impl Relocation {
    /// Resets the state for a new element.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Enters the element of a tag whose declarations are in scope. All but the first `outer` declarations
    /// are its own. `name` is the prefix of its name.
    #[inline]
    pub(super) fn enter(
        &mut self,
        tag: &Tag,
        name: Option<Found>,
        scope: &Scope,
        outer: usize,
        head: &mut Head,
    ) -> Entered {
        // Nearly every tag.
        if name.is_none() && self.ground != Ground::Displaced {
            let entered = Entered { outside: self.ground, cut: 0 };
            if scope.len() == outer {
                return entered;
            }
            let declared = scope.since(outer);
            if declared.iter().all(|declared| declared.content.is_none()) {
                if declared.iter().any(|declared| declared.prefix.is_empty()) {
                    self.ground = Ground::Other;
                }
                return entered;
            }
        }
        self.enter_changing(tag, name, scope, outer, head)
    }

    fn enter_changing(
        &mut self,
        tag: &Tag,
        name: Option<Found>,
        scope: &Scope,
        outer: usize,
        head: &mut Head,
    ) -> Entered {
        let outside = self.ground;
        let Some(own) = self.own else {
            return Entered { outside, cut: 0 };
        };

        let declared = scope.default_since(outer);
        self.ground = match declared {
            Some(declared) if declared.content == Some(own) => Ground::Own,
            Some(_) => Ground::Other,
            None if outside == Ground::Displaced && name.is_none() => {
                let behind = tag.name.range.end;
                head.change(behind..behind, What::Default);
                Ground::Other
            }
            None => outside,
        };
        let cut = self.name(tag, name, scope, head);
        for declared in scope.since(outer).iter().filter(|declared| declared.content == Some(own)) {
            if declared.prefix.is_empty() && outside != Ground::Other {
                head.change(declared.whole(), What::Cut);
            } else {
                head.change(declared.value.clone(), What::Own);
            }
        }
        Entered { outside, cut }
    }

    /// Enters the whole element.
    #[inline]
    pub(super) fn begin(
        &mut self,
        tag: &Tag,
        name: Option<Found>,
        scope: &Scope,
        head: &mut Head,
    ) -> Entered {
        // Nearly every stanza.
        if name.is_none() && scope.len() == 0 {
            let entered = Entered { outside: self.ground, cut: 0 };
            head.namespace = scope.default();
            self.own = scope.default_content();
            if self.own.is_some() {
                self.ground = Ground::Own;
            }
            return entered;
        }
        self.begin_changing(tag, name, scope, head)
    }

    fn begin_changing(&mut self, tag: &Tag, name: Option<Found>, scope: &Scope, head: &mut Head) -> Entered {
        let outside = self.ground;
        head.namespace = name.map_or_else(|| scope.default(), |found| scope.meaning(found));
        self.own = match name {
            Some(found) => scope.content(found),
            None => scope.default_content(),
        };
        let Some(own) = self.own else {
            return Entered { outside, cut: 0 };
        };

        self.ground = match scope.default_content() == Some(own) {
            true => Ground::Own,
            false => Ground::Displaced,
        };
        if self.ground == Ground::Displaced {
            head.elsewhere().displaced = scope.default();
        }
        let cut = self.name(tag, name, scope, head);
        for declared in scope.since(0) {
            if declared.prefix.is_empty() {
                head.change(declared.whole(), What::Cut);
            } else if declared.content == Some(own) {
                head.change(declared.value.clone(), What::Own);
            }
        }
        Entered { outside, cut }
    }

    /// Leaves the element whose end tag has its name at `name`.
    #[inline]
    pub(super) fn leave(&mut self, entered: Entered, name: usize, head: &mut Head) {
        if entered.cut > 0 {
            head.change(name..name + entered.cut as usize, What::Cut);
        }
        self.ground = entered.outside;
    }

    /// Leaves an element that has no end tag.
    pub(super) fn leave_empty(&mut self, entered: Entered) {
        self.ground = entered.outside;
    }

    /// Removes the prefix of a name that means the same without it, and gives its length. Notes a prefix that
    /// stays and that the stream declares.
    fn name(&self, tag: &Tag, name: Option<Found>, scope: &Scope, head: &mut Head) -> u32 {
        let Some(found) = name else {
            return 0;
        };
        if self.ground == Ground::Other || scope.content(found) != self.own {
            head.lean_on(found);
            return 0;
        }
        let prefix = tag.name.range.start..tag.name.local;
        head.change(prefix.clone(), What::Cut);
        u32::try_from(prefix.len()).unwrap_or(u32::MAX)
    }
}

impl Head {
    /// Notes that a tag has two attributes that only their content namespaces distinguish.
    pub(super) fn note_twins(&mut self) {
        self.elsewhere().twins = true;
    }

    /// Notes a prefix that is used, if the stream declares it.
    pub(super) fn lean_on(&mut self, found: Found) {
        if let Found::Stream(place) = found {
            let leans_on = &mut self.elsewhere().leans_on;
            if !leans_on.contains(&place) {
                leans_on.push(place);
            }
        }
    }

    fn change(&mut self, place: Range<usize>, what: What) {
        self.elsewhere().changes.push(Change { place: place.into(), what });
    }

    fn elsewhere(&mut self) -> &mut Elsewhere {
        self.elsewhere.get_or_insert_default()
    }
}
