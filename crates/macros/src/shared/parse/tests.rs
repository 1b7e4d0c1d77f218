use super::*;

fn parsed(text: &str) -> Result<Model> {
    parse(syn::parse_str(text)?)
}

fn refusals(text: &str) -> Vec<String> {
    match parsed(text) {
        Ok(_) => panic!("{text} was accepted"),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

/// Each text has one mistake, and is told the word.
fn are_refused(cases: &[(&str, &str)]) {
    for (text, word) in cases {
        let refusals = refusals(text);
        assert!(
            refusals.len() == 1 && refusals[0].contains(word),
            "{text}: {word:?} is not in {refusals:?}"
        );
    }
}

#[test]
fn a_type_that_points_has_the_lifetime_of_its_scope() {
    let model = parsed("struct Order<'s, T> { id: u64, items: Slice<'s, T> }")
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(model.scope.as_ref().is_some_and(|scope| scope.ident == "s"));
    assert_eq!(model.fields().count(), 2);
}

#[test]
fn a_second_lifetime_is_refused() {
    are_refused(&[(
        "struct Two<'a, 'b> { a: Str<'a>, b: Str<'b> }",
        "at most one lifetime",
    )]);
}

#[test]
fn a_pointer_lives_as_long_as_its_scope() {
    are_refused(&[("struct S(Option<Ptr<'static, u8>>);", "write 's here")]);
}

#[test]
fn a_union_is_refused() {
    are_refused(&[("union Either { a: u8, b: i8 }", "union")]);
}

#[test]
fn an_enum_needs_a_byte_of_tag_and_no_other_layout() {
    are_refused(&[
        ("enum Bare { A, B }", "#[repr(u8)]"),
        ("#[repr(u16)] enum Wide { A }", "#[repr(u8)]"),
        ("#[repr(C, u8)] enum Both { A(u8) }", "#[repr(u8)]"),
        ("#[repr(u8)] enum Empty {}", "no values"),
    ]);
}

#[test]
fn a_packed_struct_is_refused_and_other_layouts_are_not() {
    are_refused(&[
        ("#[repr(C, packed)] struct P { a: u64 }", "packed"),
        ("#[repr(packed(2))] struct P { a: u64 }", "packed"),
    ]);
    assert!(parsed("#[repr(C)] #[repr(align(64))] struct P { a: u64 }").is_ok());
    assert!(parsed("#[repr(transparent)] struct P(u64);").is_ok());
}

#[test]
fn private_pointers_are_refused_wherever_they_hide() {
    are_refused(&[
        ("struct A<'a>(&'a str);", "Str<'s>"),
        ("struct A<'a>(Option<&'a [u8]>);", "Slice<'s, T>"),
        ("struct A<'a>([(u8, &'a Order); 2]);", "Ptr<'s, T>"),
        ("struct A(*const u8);", "raw pointer"),
        ("struct A(fn());", "function"),
        ("struct A<'a>(Ptr<'a, dyn Any>);", "trait object"),
    ]);
}

#[test]
fn every_mistake_is_named_at_once() {
    let refusals = refusals("enum Many<'a, 'b> { A(&'a str), B(*const u8), C(Str<'b>) }");
    assert_eq!(refusals.len(), 4, "{refusals:?}");
}
