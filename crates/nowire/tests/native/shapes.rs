//! A type of each kind, values of them, and a service that shows what arrived.

use std::num::NonZeroU32;

use nowire::{HashMap, Map, Ptr, Scope, ScopeError, Shared, Slice, Str};

#[derive(Clone, Copy, Debug, PartialEq, Shared)]
pub(crate) struct Point {
    pub(crate) x: i32,
    pub(crate) y: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub(crate) enum Colour {
    Red,
    Green = 7,
    Mixed { red: u8, green: u16, blue: u64 },
    Named(char, bool),
}

#[derive(Debug, Shared)]
pub(crate) struct Pair<A, B> {
    pub(crate) left: A,
    pub(crate) right: B,
}

#[derive(Debug, Shared)]
#[repr(u8)]
pub(crate) enum Json<'s> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Str<'s>),
    List(Slice<'s, Json<'s>>),
    Object(Map<'s, Str<'s>, Json<'s>>),
}

#[derive(Debug, Shared)]
pub(crate) struct Chain<'s> {
    pub(crate) number: u32,
    pub(crate) next: Option<Ptr<'s, Chain<'s>>>,
}

/// Some of everything.
#[derive(Debug, Shared)]
pub(crate) struct Everything<'s> {
    pub(crate) signed: (i8, i16, i32, i64),
    pub(crate) unsigned: (u8, u16, u32, u64),
    pub(crate) large: Ptr<'s, (u128, i128)>,
    pub(crate) floats: (f32, f64),
    pub(crate) flag: bool,
    pub(crate) sign: char,
    pub(crate) array: [Point; 3],
    pub(crate) nothing: (),
    pub(crate) maybe: [Option<u16>; 2],
    pub(crate) maybe_flag: Option<bool>,
    pub(crate) maybe_not_zero: Option<NonZeroU32>,
    pub(crate) maybe_colour: Option<Colour>,
    pub(crate) colours: Slice<'s, Colour>,
    pub(crate) text: Str<'s>,
    pub(crate) texts: Slice<'s, Str<'s>>,
    pub(crate) none: Slice<'s, u64>,
    pub(crate) pointer: Ptr<'s, Point>,
    pub(crate) chain: Option<Ptr<'s, Chain<'s>>>,
    pub(crate) pair: Pair<Option<Str<'s>>, Slice<'s, Pair<u8, Str<'s>>>>,
    pub(crate) sorted: Map<'s, Str<'s>, Point>,
    pub(crate) hashed: HashMap<'s, u32, Str<'s>>,
    pub(crate) json: Json<'s>,
}

#[nowire::service]
pub(crate) trait Mirror {
    /// What the handler sees.
    fn show<'r>(&self, value: &Everything<'_>, out: &'r Scope) -> Str<'r>;
    #[nowire(pool)]
    fn show_json<'r>(&self, value: &Json<'_>, out: &'r Scope) -> Str<'r>;
    /// A value that the handler builds.
    fn make<'r>(&self, seed: u64, out: &'r Scope) -> Everything<'r>;
    fn make_json<'r>(&self, seed: u64, out: &'r Scope) -> Json<'r>;
    fn make_chain<'r>(&self, length: u32, out: &'r Scope) -> Option<Ptr<'r, Chain<'r>>>;
    fn chain_length(&self, chain: &Chain) -> u64;
    #[expect(clippy::too_many_arguments, reason = "as many as there may be")]
    fn show_plain<'r>(
        &self,
        point: Point,
        colour: Colour,
        array: [u16; 3],
        tuple: (u8, u64),
        maybe: Option<char>,
        float: f64,
        flag: bool,
        large: u64,
        out: &'r Scope,
    ) -> Str<'r>;
    fn mixed(&self, seed: u64) -> Colour;
    fn maybe(&self, some: bool) -> Option<NonZeroU32>;
    /// Looks keys up that are, and are not, there.
    fn look_up(&self, value: &Everything<'_>) -> (u32, u32);
}

pub(crate) struct Glass;

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn text(&mut self) -> String {
        let letters = self.below(20);
        (0..letters)
            .map(|_| ['a', 'z', 'ß', '→', '𝄞', '\0', ' '][self.below(7) as usize])
            .collect()
    }

    fn point(&mut self) -> Point {
        Point {
            x: self.roll() as i32,
            y: self.roll() as i16,
        }
    }

    fn colour(&mut self) -> Colour {
        match self.below(4) {
            0 => Colour::Red,
            1 => Colour::Green,
            2 => Colour::Mixed {
                red: self.roll() as u8,
                green: self.roll() as u16,
                blue: self.roll(),
            },
            _ => Colour::Named('é', self.flip()),
        }
    }
}

pub(crate) fn json<'s>(
    scope: &'s Scope,
    dice: &mut Dice,
    depth: u32,
) -> Result<Json<'s>, ScopeError> {
    let kinds = if depth == 0 { 4 } else { 6 };
    Ok(match dice.below(kinds) {
        0 => Json::Null,
        1 => Json::Bool(dice.flip()),
        2 => Json::Number(dice.roll() as f64 / 1024.0),
        3 => Json::Text(scope.str(&dice.text())?),
        4 => {
            let items: Result<Vec<_>, _> = (0..dice.below(4))
                .map(|_| json(scope, dice, depth - 1))
                .collect();
            Json::List(scope.slice_of(items?)?)
        }
        _ => {
            let mut entries = Vec::new();
            for _ in 0..dice.below(5) {
                let key = scope.str(&dice.text())?;
                entries.push((key, json(scope, dice, depth - 1)?));
            }
            Json::Object(scope.map(entries)?)
        }
    })
}

pub(crate) fn chain<'s>(
    scope: &'s Scope,
    length: u32,
) -> Result<Option<Ptr<'s, Chain<'s>>>, ScopeError> {
    let mut next = None;
    for number in 0..length {
        next = Some(scope.build(Chain { number, next })?);
    }
    Ok(next)
}

pub(crate) fn everything<'s>(scope: &'s Scope, seed: u64) -> Result<Everything<'s>, ScopeError> {
    let dice = &mut Dice::new(seed);
    let colours: Vec<_> = (0..dice.below(9)).map(|_| dice.colour()).collect();
    let texts: Result<Vec<_>, _> = (0..dice.below(9))
        .map(|_| scope.str(&dice.text()))
        .collect();
    let pairs: Result<Vec<_>, ScopeError> = (0..dice.below(5))
        .map(|_| {
            Ok(Pair {
                left: dice.roll() as u8,
                right: scope.str(&dice.text())?,
            })
        })
        .collect();
    let sorted: Result<Vec<_>, ScopeError> = (0..dice.below(20))
        .map(|_| Ok((scope.str(&dice.text())?, dice.point())))
        .collect();
    let hashed: Result<Vec<_>, ScopeError> = (0..dice.below(20))
        .map(|key| Ok((key as u32 * 7, scope.str(&dice.text())?)))
        .collect();
    Ok(Everything {
        signed: (
            dice.roll() as i8,
            i16::MIN,
            dice.roll() as i32,
            dice.roll() as i64,
        ),
        unsigned: (dice.roll() as u8, dice.roll() as u16, u32::MAX, dice.roll()),
        large: scope.build((
            u128::from(dice.roll()) << 64 | u128::from(dice.roll()),
            i128::MIN,
        ))?,
        floats: (f32::INFINITY, -0.0),
        flag: dice.flip(),
        sign: '\u{10ffff}',
        array: [dice.point(), dice.point(), dice.point()],
        nothing: (),
        maybe: [dice.flip().then(|| dice.roll() as u16), None],
        maybe_flag: [None, Some(false), Some(true)][dice.below(3) as usize],
        maybe_not_zero: NonZeroU32::new(dice.below(2) as u32),
        maybe_colour: dice.flip().then(|| dice.colour()),
        colours: scope.slice(&colours)?,
        text: scope.str(&dice.text())?,
        texts: scope.slice_of(texts?)?,
        none: Slice::empty(),
        pointer: scope.build(dice.point())?,
        chain: chain(scope, dice.below(5) as u32)?,
        pair: Pair {
            left: match dice.flip() {
                true => Some(scope.str(&dice.text())?),
                false => None,
            },
            right: scope.slice_of(pairs?)?,
        },
        sorted: scope.map(sorted?)?,
        hashed: scope.hash_map(hashed?)?,
        json: json(scope, dice, 3)?,
    })
}

fn shown<'r>(text: &str, out: &'r Scope) -> Str<'r> {
    out.str(text).expect("a large reply scope")
}

impl Mirror for Glass {
    fn show<'r>(&self, value: &Everything<'_>, out: &'r Scope) -> Str<'r> {
        shown(&format!("{value:?}"), out)
    }

    fn show_json<'r>(&self, value: &Json<'_>, out: &'r Scope) -> Str<'r> {
        shown(&format!("{value:?}"), out)
    }

    fn make<'r>(&self, seed: u64, out: &'r Scope) -> Everything<'r> {
        everything(out, seed).expect("a large reply scope")
    }

    fn make_json<'r>(&self, seed: u64, out: &'r Scope) -> Json<'r> {
        json(out, &mut Dice::new(seed), 5).expect("a large reply scope")
    }

    fn make_chain<'r>(&self, length: u32, out: &'r Scope) -> Option<Ptr<'r, Chain<'r>>> {
        chain(out, length).expect("a large reply scope")
    }

    fn chain_length(&self, chain: &Chain) -> u64 {
        let mut length = 1;
        let mut at = chain;
        while let Some(next) = &at.next {
            at = next;
            length += 1;
        }
        length
    }

    fn show_plain<'r>(
        &self,
        point: Point,
        colour: Colour,
        array: [u16; 3],
        tuple: (u8, u64),
        maybe: Option<char>,
        float: f64,
        flag: bool,
        large: u64,
        out: &'r Scope,
    ) -> Str<'r> {
        let all = (point, colour, array, tuple, maybe, float, flag, large);
        shown(&format!("{all:?}"), out)
    }

    fn mixed(&self, seed: u64) -> Colour {
        Dice::new(seed).colour()
    }

    fn maybe(&self, some: bool) -> Option<NonZeroU32> {
        NonZeroU32::new(u32::from(some) * 5)
    }

    fn look_up(&self, value: &Everything<'_>) -> (u32, u32) {
        let found = value
            .sorted
            .iter()
            .filter(|(key, point)| value.sorted.get(key.as_str()) == Some(*point));
        let hashed = value.hashed.iter().filter(|(key, text)| {
            value.hashed.get(*key).is_some_and(|found| found == *text)
                && value.hashed.get(&(**key + 1)).is_none()
        });
        (found.count() as u32, hashed.count() as u32)
    }
}
