//! The bytes behind a value, as they were sent: what a value looks like may be
//! taken for granted by the compiler, but not what they are.

use std::hash::Hash;
use std::ptr;

use nowire::{HashMap, Lent, Map, Ptr, Shared, Slice, Str};

/// What was sent, where it was sent from, and where it is now.
pub(super) struct Raw {
    root: Vec<u8>,
    root_here: usize,
    /// In whole words: the check reads zeros behind the last.
    scope: Vec<u8>,
    claimed: usize,
    /// Where the scope is here, as far as the first pointer told.
    here: Option<usize>,
    /// What was pointed to: from, to.
    targets: Vec<(usize, usize)>,
}

impl Raw {
    pub(super) fn new<T>(root: [u64; 4], scope: &[u8], claimed: usize, value: &T) -> Self {
        let mut scope = scope.to_vec();
        scope.resize(scope.len().next_multiple_of(8), 0);
        Self {
            root: root.into_iter().flat_map(u64::to_le_bytes).collect(),
            root_here: ptr::from_ref(value).addr(),
            scope,
            claimed,
            here: None,
            targets: Vec::new(),
        }
    }

    /// The bytes as they were sent, of which `value` was made.
    pub(super) fn bytes<T: ?Sized>(&self, value: &T) -> &[u8] {
        let (at, bytes) = (ptr::from_ref(value).addr(), size_of_val(value));
        let in_root = at.wrapping_sub(self.root_here);
        if in_root < self.root.len() {
            return &self.root[in_root..in_root + bytes];
        }
        let here = self.here.expect("it is in the root, or pointed to");
        let offset = at.wrapping_sub(here);
        let sent = self.scope.get(offset..offset + bytes);
        sent.expect("a value outside the scope")
    }

    pub(super) fn byte<T>(&self, value: &T) -> u8 {
        self.bytes(value).first().copied().unwrap_or(0)
    }

    pub(super) fn number<T>(&self, value: &T) -> u64 {
        let mut number = [0; 8];
        for (into, from) in number.iter_mut().zip(self.bytes(value)) {
            *into = *from;
        }
        u64::from_le_bytes(number)
    }

    /// Notes that the pointer with which `holder` begins leads to `target`.
    pub(super) fn follow<H, T: ?Sized>(&mut self, holder: &H, target: &T) {
        let (at, bytes) = (ptr::from_ref(target).addr(), size_of_val(target));
        if bytes > 0 {
            self.lead(holder, at, at + bytes);
        }
    }

    fn lead<H>(&mut self, holder: &H, at: usize, end: usize) {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes(holder)[..8]);
        let sent = u64::from_le_bytes(word) as usize;
        assert!(
            sent >= self.claimed && sent - self.claimed < self.scope.len(),
            "a pointer to {sent:#x} was accepted"
        );
        let here = at.wrapping_sub(sent - self.claimed);
        assert_eq!(*self.here.get_or_insert(here), here, "it leads elsewhere");
        self.targets.push((at, end));
    }

    /// Nothing that was pointed to overlaps, nor leaves the scope.
    pub(super) fn finish(mut self) {
        self.targets.sort_unstable();
        for pair in self.targets.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "two targets overlap");
        }
        let (Some(first), Some(last)) = (self.targets.first(), self.targets.last()) else {
            return;
        };
        let here = self.here.expect("there is a target");
        assert!(first.0 >= here);
        assert!(last.1 - here <= self.scope.len());
        assert!(first.0.is_multiple_of(8), "a target is not aligned");
    }
}

/// A value all of which can be looked at.
pub(super) trait Walk {
    fn walk(&self, raw: &mut Raw);
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Walk for $number {
            fn walk(&self, raw: &mut Raw) {
                assert_eq!(self.to_le_bytes(), raw.bytes(self));
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, f32, f64);

impl Walk for bool {
    fn walk(&self, raw: &mut Raw) {
        assert!(raw.byte(self) <= 1, "a bool of {}", raw.byte(self));
    }
}

impl Walk for char {
    fn walk(&self, raw: &mut Raw) {
        let number = raw.number(self) as u32;
        assert!(char::from_u32(number).is_some(), "a char of {number:#x}");
    }
}

impl Walk for std::num::NonZero<u32> {
    fn walk(&self, raw: &mut Raw) {
        assert_ne!(raw.number(self), 0);
    }
}

impl<T: Walk, const N: usize> Walk for [T; N] {
    fn walk(&self, raw: &mut Raw) {
        self.iter().for_each(|item| item.walk(raw));
    }
}

impl<A: Walk, B: Walk> Walk for (A, B) {
    fn walk(&self, raw: &mut Raw) {
        self.0.walk(raw);
        self.1.walk(raw);
    }
}

impl<T: Shared + Walk> Walk for Ptr<'_, T> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow(self, &**self);
        (**self).walk(raw);
    }
}

impl<T: Shared + Walk> Walk for Lent<'_, T> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow(self, &**self);
        (**self).walk(raw);
    }
}

impl<T: Shared + Walk> Walk for Slice<'_, T> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow(self, &**self);
        self.iter().for_each(|item| item.walk(raw));
    }
}

impl Walk for Str<'_> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow(self, &**self);
        if !self.is_empty() {
            let sent = raw.bytes(&**self);
            assert!(str::from_utf8(sent).is_ok(), "text of {sent:?}");
            assert_eq!(self.as_bytes(), sent);
        }
    }
}

impl<K: Shared + Walk + Ord, V: Shared + Walk> Walk for Map<'_, K, V> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow_entries(self, self.iter().next(), self.iter().last());
        for (key, value) in self {
            key.walk(raw);
            value.walk(raw);
            // Whatever their order is, looking for one leads somewhere or nowhere.
            if let Some((found, _)) = self.get_key_value(key) {
                assert!(found == key);
            }
        }
        assert!(self.range(..).count() == self.len());
    }
}

impl<K: Shared + Walk + Hash + Eq, V: Shared + Walk> Walk for HashMap<'_, K, V> {
    fn walk(&self, raw: &mut Raw) {
        raw.follow_entries(self, self.iter().next(), self.iter().last());
        for (key, value) in self {
            key.walk(raw);
            value.walk(raw);
            if let Some((found, _)) = self.get_key_value(key) {
                assert!(found == key);
            }
        }
    }
}

impl Raw {
    /// Notes where the entries of a map are, each of which is a key and a value.
    fn follow_entries<H, K, V>(
        &mut self,
        holder: &H,
        first: Option<(&K, &V)>,
        last: Option<(&K, &V)>,
    ) {
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let starts = |(key, value): (&K, &V)| {
            let (key, value) = (ptr::from_ref(key).addr(), ptr::from_ref(value).addr());
            [(key, key + size_of::<K>()), (value, value + size_of::<V>())]
        };
        let [a, b] = starts(first);
        let [c, d] = starts(last);
        self.lead(holder, a.0.min(b.0), c.1.max(d.1));
    }
}
