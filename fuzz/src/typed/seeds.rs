//! Honest values of every shape, as their senders would have sent them.

use std::num::NonZero;

use nowire::macro_support::inline;
use nowire::{Ptr, Scope, ScopeError, Slice};

use super::BASE;
use super::shapes::{Color, Enum, Maps, Options, Plain, Slices, Tree};

/// Each target with its first inputs.
pub(crate) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let tree = sent(trees);
    let plain = sent(|scope| Ok(inline(&scope.build(PLAIN)?)));
    vec![
        ("checked_struct", vec![plain]),
        ("checked_enum", vec![sent(enums)]),
        ("checked_slices", vec![sent(slices)]),
        ("checked_tree", vec![tree.clone(), sent(chain)]),
        ("checked_options", vec![sent(full), sent(empty)]),
        ("checked_maps", vec![sent(maps)]),
        (
            "checked_while_changing",
            vec![changed(&tree, &[]), changed(&tree, CHANGES)],
        ),
    ]
}

/// The root of what is built, and the scope, as one input.
fn sent(build: impl FnOnce(&Scope) -> Result<[u64; 4], ScopeError>) -> Vec<u8> {
    let (root, bytes) = moved(Scope::private(1 << 16), build);
    let mut input: Vec<u8> = root.into_iter().flat_map(u64::to_le_bytes).collect();
    input.extend(bytes);
    input
}

/// What is built in a scope, its root and its bytes, moved to where all inputs
/// have it.
pub(crate) fn moved(
    mut scope: Scope,
    build: impl FnOnce(&Scope) -> Result<[u64; 4], ScopeError>,
) -> ([u64; 4], Vec<u8>) {
    let mut root = build(&scope).expect("there is room");
    let (start, end) = (scope.address(), scope.address() + scope.capacity_bytes());
    let mut bytes = scope.bytes_used();
    let here = |word: u64| match word as usize {
        address if (start..end).contains(&address) => (address - start + BASE) as u64,
        _ => word,
    };
    root = root.map(here);
    for word in bytes.as_chunks_mut::<8>().0 {
        *word = here(u64::from_le_bytes(*word)).to_le_bytes();
    }
    (root, bytes)
}

/// Places and what is changed there.
const CHANGES: &[u8] = &[0, 0, 1, 8, 0, 0x80, 17, 0, 255, 40, 0, 8, 100, 1, 2];

/// A tree, with what changes in it meanwhile.
fn changed(tree: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut input = tree.to_vec();
    input[8] = changes.len() as u8;
    let scope = input.split_off(super::ROOT_BYTES);
    input.extend(changes);
    input.extend(scope);
    input
}

const PLAIN: Plain = Plain {
    wide: 1 << 40,
    flag: true,
    letter: 'ß',
    color: Color::Blue,
    pair: (7, 8),
    flags: [true, false, true],
    count: NonZero::<u32>::MIN,
    real: 0.5,
};

fn enums(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let list = scope.slice_of([Enum::Null, Enum::Text(scope.str("in a list")?)])?;
    let next = scope.build(Enum::Bool(true))?;
    let all = scope.slice_of([
        Enum::Null,
        Enum::Bool(false),
        Enum::Plain(9, PLAIN),
        Enum::Text(scope.str("größer")?),
        Enum::List(list),
        Enum::Boxed { small: 5, next },
        Enum::List(Slice::empty()),
    ])?;
    Ok(inline(&all))
}

fn slices(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let texts = scope.slice_of([
        scope.slice_of([scope.str("one")?, scope.str("")?])?,
        Slice::empty(),
        scope.slice_of([scope.str("a text of more than thirty-two bytes")?])?,
    ])?;
    let flags = scope.slice_of([scope.slice(&[(1, true), (2, false)])?])?;
    Ok(inline(&Slices { texts, flags }))
}

fn tree(scope: &Scope, depth: u32) -> Result<Tree<'_>, ScopeError> {
    let name = scope.str(&format!("at depth {depth}"))?;
    if depth == 0 {
        return Ok(Tree {
            name,
            left: None,
            right: None,
            below: Slice::empty(),
            leaf: Some('x'),
        });
    }
    let left = scope.build(tree(scope, depth - 1)?)?;
    let right = scope.build(tree(scope, depth / 2)?)?;
    Ok(Tree {
        name,
        left: Some(left),
        right: Some(right),
        below: scope.slice_of([tree(scope, 0)?])?,
        leaf: None,
    })
}

fn trees(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let tree = scope.build(tree(scope, 3)?)?;
    Ok(inline(&tree))
}

/// A tree that is nothing but deep.
fn chain(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let mut next: Option<Ptr<'_, Tree<'_>>> = None;
    for _ in 0..40 {
        next = Some(scope.build(Tree {
            name: scope.str("")?,
            left: next,
            right: None,
            below: Slice::empty(),
            leaf: None,
        })?);
    }
    Ok(next.map_or([0; 4], |next| inline(&next)))
}

fn full(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let plain = scope.build(PLAIN)?;
    let options = scope.build(Options {
        number: Some(1),
        byte: Some(2),
        flag: Some(true),
        flags: Some(Some(false)),
        letter: Some('y'),
        color: Some(Color::Red),
        count: Some(NonZero::<u32>::MAX),
        text: Some(scope.str("text")?),
        pair: Some((3, plain)),
        plain: Some(PLAIN),
        wide: Some(1 << 100),
    })?;
    Ok(inline(&options))
}

fn empty(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let options = scope.build(Options {
        number: None,
        byte: None,
        flag: None,
        flags: Some(None),
        letter: None,
        color: None,
        count: None,
        text: None,
        pair: None,
        plain: None,
        wide: None,
    })?;
    Ok(inline(&options))
}

fn maps(scope: &Scope) -> Result<[u64; 4], ScopeError> {
    let ordered = scope.map([
        (scope.str("one")?, Some(true)),
        (scope.str("two")?, None),
        (scope.str("three")?, Some(false)),
    ])?;
    let hashed = scope.hash_map([
        (1, scope.str("eins")?),
        (2, scope.str("zwei")?),
        (3, scope.str("drei")?),
    ])?;
    let inner = scope.map([(
        7_u16,
        scope.hash_map([(scope.str("a")?, 'a'), (scope.str("b")?, 'b')])?,
    )])?;
    let maps = scope.build(Maps {
        ordered,
        hashed,
        inner,
    })?;
    Ok(inline(&maps))
}

#[cfg(test)]
mod tests {
    use nowire::macro_support::check_copy;

    use super::super::{Shared, split};
    use super::*;

    fn accepted<T: Shared>(input: &[u8]) {
        let (root, scope) = split(input).expect("a root");
        let checked = check_copy::<T>(scope, BASE, root).map(drop);
        assert_eq!(checked, Ok(()));
    }

    #[test]
    fn what_honest_senders_send_is_accepted() {
        accepted::<Ptr<'static, Plain>>(&sent(|scope| Ok(inline(&scope.build(PLAIN)?))));
        accepted::<Slice<'static, Enum<'static>>>(&sent(enums));
        accepted::<Slices<'static>>(&sent(slices));
        accepted::<Ptr<'static, Tree<'static>>>(&sent(trees));
        accepted::<Ptr<'static, Tree<'static>>>(&sent(chain));
        accepted::<Ptr<'static, Options<'static>>>(&sent(full));
        accepted::<Ptr<'static, Options<'static>>>(&sent(empty));
        accepted::<Ptr<'static, Maps<'static>>>(&sent(maps));
    }

    #[test]
    fn every_target_takes_its_seeds() {
        for (target, inputs) in all() {
            let reader = match target {
                "checked_struct" => crate::checked_struct,
                "checked_enum" => crate::checked_enum,
                "checked_slices" => crate::checked_slices,
                "checked_tree" => crate::checked_tree,
                "checked_options" => crate::checked_options,
                "checked_maps" => crate::checked_maps,
                "checked_while_changing" => crate::checked_while_changing,
                other => panic!("{other} is no target"),
            };
            inputs.iter().for_each(|input| reader(input));
        }
    }
}
