//! The service that honest sides serve and call, and what it is about: a type
//! with one of everything a lie could be told about.

use std::hint::black_box;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nowire::macro_support::{Method, Service};
use nowire::{
    Blob, Context, Kept, Map, Pool, Ptr, Ref, Replies, Requests, Scope, ScopeError, Shared, Slice,
    Str,
};

/// A node of a tree.
#[derive(Debug, Shared)]
pub struct Thing<'s> {
    /// Text.
    pub text: Str<'s>,
    /// Numbers.
    pub numbers: Slice<'s, u64>,
    /// Others below it.
    pub children: Slice<'s, Thing<'s>>,
    /// The next one.
    pub next: Option<Ptr<'s, Thing<'s>>>,
    /// What there is of each name.
    pub names: Map<'s, Str<'s>, u32>,
    /// An enum.
    pub shape: Shape,
    /// A bool.
    pub flag: bool,
    /// A char.
    pub letter: char,
    /// An option with a tag.
    pub maybe: Option<u32>,
    /// Never 0.
    pub count: NonZero<u32>,
}

/// What a thing looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub enum Shape {
    /// Of no size.
    Dot,
    /// Round.
    Disc {
        /// Its radius.
        radius: u32,
    },
    /// Not round.
    Box(u16, u16),
}

/// An error that does not fit into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct Wrong {
    /// What was wrong.
    pub words: [u64; 6],
}

/// What the honest server does.
#[nowire::service]
pub trait Survey {
    /// What a thing amounts to.
    fn measure(&self, thing: &Thing) -> u64;
    /// The same, on another thread.
    #[nowire(pool)]
    fn measure_aside(&self, thing: &Thing) -> u64;
    /// The same; the thing is kept until the next one comes.
    fn keep(&self, thing: Kept<Thing<'static>>) -> u64;
    /// A thing.
    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Thing<'r>>, Wrong>;
    /// More than fits into a message, there and back.
    fn turn(&self, words: [u64; 8]) -> [u64; 8];
    /// Nothing but an error.
    fn fail(&self, number: u64) -> Result<u64, Wrong>;
    /// What all things amount to.
    #[nowire(pool)]
    fn gather(&self, things: Requests<Ptr<'static, Thing<'static>>>) -> u64;
    /// So many numbers.
    #[nowire(pool)]
    fn scatter(&self, count: u64, numbers: &mut Replies<u64>);
    /// Takes nothing of what is sent and returns when nobody waits any more.
    #[nowire(pool)]
    fn hold(&self, context: &Context, numbers: Requests<u64>) -> u64;
    /// The same, where there is nothing to take.
    #[nowire(pool)]
    fn idle(&self, context: &Context) -> u64;
    /// How much data there is.
    fn weigh(&self, data: Ref, more: Blob) -> u64;
    /// Some data.
    fn found(&self) -> Ref;
}

/// An honest server.
#[derive(Clone, Debug, Default)]
pub struct Surveyor {
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Things that were not what they must be.
    wrong: AtomicU64,
    /// Things that were looked at.
    right: AtomicU64,
    kept: std::sync::Mutex<Option<Kept<Thing<'static>>>>,
}

impl Surveyor {
    /// Values that came to a handler and were none, so far.
    pub fn wrong(&self) -> u64 {
        self.seen.wrong.load(Ordering::Relaxed)
    }

    /// Things that came to a handler and were right, so far.
    pub fn right(&self) -> u64 {
        self.seen.right.load(Ordering::Relaxed)
    }

    fn look(&self, thing: &Thing<'_>) -> u64 {
        let amount = amount(thing);
        // It must not change while it is looked at either.
        let stays = amount.is_some() && amount == self::amount(black_box(thing));
        let counter = if stays {
            &self.seen.right
        } else {
            &self.seen.wrong
        };
        counter.fetch_add(1, Ordering::Relaxed);
        amount.unwrap_or(0)
    }
}

/// Goes through all of a thing; none if any of it is no value of its type.
pub fn amount(thing: &Thing<'_>) -> Option<u64> {
    let mut amount = 0_u64;
    let mut rest = vec![thing];
    while let Some(thing) = rest.pop() {
        amount = amount.wrapping_mul(31).wrapping_add(of_text(&thing.text)?);
        for number in black_box(&thing.numbers) {
            amount = amount.wrapping_mul(31).wrapping_add(*number);
        }
        for (name, count) in &thing.names {
            amount = amount.wrapping_add(of_text(name)? ^ u64::from(*count));
            black_box(thing.names.get(&**name));
        }
        let shape = match black_box(thing.shape) {
            Shape::Dot => 1,
            Shape::Disc { radius } => u64::from(radius),
            Shape::Box(width, height) => u64::from(width) * u64::from(height),
        };
        let letter = char::from_u32(black_box(thing.letter) as u32)?;
        let flag = black_box(thing.flag) as u8;
        let count = black_box(thing.count).get();
        if flag > 1 || count == 0 {
            return None;
        }
        amount = amount
            .wrapping_add(shape)
            .wrapping_add(u64::from(letter) << flag)
            .wrapping_add(u64::from(count) ^ u64::from(thing.maybe.unwrap_or(7)));
        rest.extend(&thing.children);
        rest.extend(thing.next.as_deref());
    }
    Some(amount)
}

fn of_text(text: &str) -> Option<u64> {
    let bytes = black_box(text.as_bytes());
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.chars().map(u64::from).sum())
}

/// Builds a thing with one of everything.
///
/// # Errors
/// If the scope has no room for it.
pub fn build(scope: &Scope, number: u64) -> Result<Ptr<'_, Thing<'_>>, ScopeError> {
    let child = one(scope, number, Slice::empty(), None)?;
    let next = one(scope, number + 1, Slice::empty(), None)?;
    let next = scope.build(next)?;
    let children = scope.slice_of([child])?;
    let thing = one(scope, number + 2, children, Some(next))?;
    scope.build(thing)
}

fn one<'s>(
    scope: &'s Scope,
    number: u64,
    children: Slice<'s, Thing<'s>>,
    next: Option<Ptr<'s, Thing<'s>>>,
) -> Result<Thing<'s>, ScopeError> {
    Ok(Thing {
        text: scope.str(&format!("thing number {number}, größer"))?,
        numbers: scope.slice(&[number, 2, 3])?,
        children,
        next,
        names: scope.map([(scope.str("one")?, 1), (scope.str("two")?, 2)])?,
        shape: Shape::Disc { radius: 3 },
        flag: true,
        letter: 'ß',
        maybe: Some(9),
        count: NonZero::<u32>::MIN,
    })
}

impl Survey for Surveyor {
    fn measure(&self, thing: &Thing<'_>) -> u64 {
        self.look(thing)
    }

    fn measure_aside(&self, thing: &Thing<'_>) -> u64 {
        self.look(thing)
    }

    fn keep(&self, thing: Kept<Thing<'static>>) -> u64 {
        let amount = self.look(thing.get());
        if let Ok(mut kept) = self.seen.kept.lock() {
            *kept = Some(thing);
        }
        amount
    }

    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Thing<'r>>, Wrong> {
        build(out, number).map_err(|_| Wrong { words: [number; 6] })
    }

    fn turn(&self, mut words: [u64; 8]) -> [u64; 8] {
        words.reverse();
        words
    }

    fn fail(&self, number: u64) -> Result<u64, Wrong> {
        Err(Wrong { words: [number; 6] })
    }

    fn gather(&self, things: Requests<Ptr<'static, Thing<'static>>>) -> u64 {
        things
            .map(|thing| self.look(thing.get()))
            .fold(0, u64::wrapping_add)
    }

    fn scatter(&self, count: u64, numbers: &mut Replies<u64>) {
        for number in 0..count {
            if numbers.send(number).is_err() {
                return;
            }
        }
    }

    fn hold(&self, context: &Context, _numbers: Requests<u64>) -> u64 {
        self.idle(context)
    }

    fn idle(&self, context: &Context) -> u64 {
        let until = Instant::now() + Duration::from_secs(60);
        while !context.is_cancelled() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        0
    }

    fn weigh(&self, data: Ref, more: Blob) -> u64 {
        (data.len() + more.len()) as u64
    }

    fn found(&self) -> Ref {
        let found = Pool::process().copy_of(b"found");
        found.expect("room in the pool")
    }
}

/// The number by which an honest server is asked for a method, and by which it
/// is known of the first of its services.
///
/// # Panics
/// If there is no such method.
pub fn code_of(method: &str) -> u16 {
    let methods = methods();
    let index = methods.iter().position(|known| known.name == method);
    1 + index.expect("a method of the survey") as u16
}

fn methods() -> &'static [Method] {
    SurveyServer::new(Surveyor::default()).methods()
}

/// What an honest server says of a method when it is asked.
pub(crate) struct Told {
    pub(crate) code: u16,
    pub(crate) name: &'static str,
    pub(crate) layout: String,
}

/// What an honest server says of all its methods.
pub(crate) fn told() -> Vec<Told> {
    let described = methods().iter().zip(1..).map(|(method, code)| {
        let parts = [
            ("arguments", Some(method.args)),
            ("reply", Some(method.reply)),
            ("error", method.error),
            ("requests", method.requests),
            ("replies", method.replies),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(what, layout)| Some(format!("{what}\n{}", layout?().text())));
        Told {
            code,
            name: method.name,
            layout: parts.collect::<Vec<_>>().join("\n--\n"),
        }
    });
    described.collect()
}
