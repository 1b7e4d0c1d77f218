use super::*;
use crate::service::model::{Method, ParamKind, Returns, Runs, Service};

fn parsed(text: &str) -> Result<Service> {
    parse(syn::parse_str(text)?)
}

fn accepted(text: &str) -> Service {
    parsed(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Each text has one mistake, and is told the word.
fn are_refused(cases: &[(&str, &str)]) {
    for (text, word) in cases {
        let refusals: Vec<String> = match parsed(text) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
        };
        assert!(
            refusals.len() == 1 && refusals[0].contains(word),
            "{text}: {word:?} is not in {refusals:?}"
        );
    }
}

#[test]
fn a_method_runs_where_its_words_say() {
    let service = accepted(
        "trait S { fn here(&self); #[nowire(pool)] fn pooled(&self); async fn task(&self); }",
    );
    let runs: Vec<Runs> = service.methods.iter().map(|method| method.runs).collect();
    assert_eq!(runs, [Runs::Polling, Runs::Pool, Runs::Task]);
}

#[test]
fn parameters_are_known_by_their_types() {
    let mut service = accepted(
        "trait S {
            #[nowire(pool)]
            fn all<'r>(
                &self,
                cx: &Context,
                out: &'r nowire::Scope,
                order: &Order,
                kept: Kept<Order<'static>>,
                plain: [u32; 4],
                items: &mut Replies<Item>,
                asks: Requests<Item>,
            );
        }",
    );
    let method: Method = service.methods.remove(0);
    let kinds: Vec<ParamKind> = method.params.into_iter().map(|param| param.kind).collect();
    assert!(matches!(
        kinds.as_slice(),
        [
            ParamKind::Context,
            ParamKind::Scope(_),
            ParamKind::Shared(_),
            ParamKind::Kept(_),
            ParamKind::Value(_),
            ParamKind::Replies(..),
            ParamKind::Requests(..),
        ]
    ));
}

#[test]
fn returns_are_nothing_a_value_or_a_result() {
    let service = accepted(
        "trait S {
            fn none(&self);
            fn unit(&self) -> ();
            fn value(&self) -> Option<u64>;
            fn result(&self) -> Result<u64, Missing>;
            fn status(&self) -> std::result::Result<(), Missing>;
        }",
    );
    let returns: Vec<Returns> = service
        .methods
        .into_iter()
        .map(|method| method.returns)
        .collect();
    assert!(matches!(
        returns.as_slice(),
        [
            Returns::Unit,
            Returns::Unit,
            Returns::Value(_),
            Returns::Result { ok: Some(_), .. },
            Returns::Result { ok: None, .. },
        ]
    ));
}

#[test]
fn handlers_see_a_trait_that_threads_share_and_futures_that_move() {
    let item =
        accepted("trait S { #[nowire(pool)] fn a(&self); async fn b(&self) -> u64 { 1 } }").item;
    let expected: ItemTrait = syn::parse_quote! {
        trait S: ::core::marker::Send + ::core::marker::Sync + 'static {
            fn a(&self);
            fn b(&self) -> impl ::core::future::Future<Output = u64> + ::core::marker::Send {
                async move { 1 }
            }
        }
    };
    assert_eq!(
        quote::quote!(#item).to_string(),
        quote::quote!(#expected).to_string()
    );
}

#[test]
fn what_two_processes_cannot_share_is_refused() {
    are_refused(&[
        ("trait S<T> { fn a(&self); }", "cannot be generic"),
        ("unsafe trait S { fn a(&self); }", "unsafe trait"),
        ("trait S { type T; }", "methods only"),
        ("trait S { fn a<T>(&self, t: T); }", "cannot be generic"),
        ("trait S { fn a(&self, t: impl Ord); }", "cannot be generic"),
        ("trait S { unsafe fn a(&self); }", "remove `unsafe`"),
        ("trait S { fn a(&self, f: fn()); }", "this one's code"),
        ("trait S { fn a(&self, f: &dyn Fn()); }", "this one's code"),
        ("trait S { fn a(&self, p: *const u8); }", "raw pointer"),
    ]);
}

#[test]
fn a_receiver_is_shared() {
    are_refused(&[
        ("trait S { fn a(); }", "`&self`"),
        ("trait S { fn a(self); }", "`&self`"),
        ("trait S { fn a(&mut self); }", "`&self`"),
        ("trait S { fn a(self: Arc<Self>); }", "`&self`"),
    ]);
}

#[test]
fn a_parameter_of_the_wrong_shape_is_told_the_right_one() {
    are_refused(&[
        ("trait S { fn a(&self, x: &mut Order); }", "write `&T`"),
        ("trait S { fn a(&self, x: &str); }", "&Str<'_>"),
        ("trait S { fn a(&self, x: &[u8]); }", "&Slice<'_, T>"),
        ("trait S { fn a(&self, x: &&Order); }", "one `&`"),
        ("trait S { fn a(&self, x: &Kept<Order>); }", "Kept"),
        ("trait S { fn a(&self, x: Kept); }", "Kept<T>"),
        ("trait S { fn a(&self, x: Scope); }", "&'r Scope"),
        ("trait S { fn a(&self, x: Context); }", "&Context"),
        (
            "trait S { fn a(&self, x: Replies<u8>); }",
            "&mut Replies<T>",
        ),
        (
            "trait S { fn a(&self, x: &Replies<u8>); }",
            "&mut Replies<T>",
        ),
        (
            "trait S { fn a(&self, x: &mut Requests<u8>); }",
            "belongs to its handler",
        ),
        ("trait S { fn a(&self, (x, y): (u8, u8)); }", "plain name"),
        (
            "trait S { fn a(&self, c: &Context, d: &Context); }",
            "one context",
        ),
    ]);
}

#[test]
fn a_reply_lies_in_its_scope() {
    are_refused(&[
        ("trait S { fn a(&self) -> &Order; }", "&'r Scope"),
        ("trait S { fn a(&self) -> io::Result<u8>; }", "Result<T, E>"),
        ("trait S { fn a(&self) -> impl Future; }", "async fn"),
        ("trait S { fn a(&self) -> !; }", "never answers"),
    ]);
}

#[test]
fn a_stream_does_not_hold_up_the_polling_thread() {
    are_refused(&[
        (
            "trait S { fn a(&self, x: &mut Replies<u8>); }",
            "#[nowire(pool)]",
        ),
        (
            "trait S { fn a(&self, x: Requests<u8>) -> u8; }",
            "#[nowire(pool)]",
        ),
        (
            "trait S { #[nowire(pool)] fn a(&self, x: &mut Replies<u8>) -> u8; }",
            "last item",
        ),
    ]);
}

#[test]
fn references_and_blobs_belong_to_who_gets_them() {
    let mut service =
        accepted("trait S { fn a(&self, one: Ref, two: nowire::Blob, three: Ref<u8>) -> Ref; }");
    let method: Method = service.methods.remove(0);
    let kinds: Vec<ParamKind> = method.params.into_iter().map(|param| param.kind).collect();
    assert!(matches!(
        kinds.as_slice(),
        [
            ParamKind::Carried(_),
            ParamKind::Carried(_),
            ParamKind::Value(_)
        ]
    ));
    are_refused(&[
        ("trait S { fn a(&self, x: &Ref); }", "write `Ref`"),
        ("trait S { fn a(&self, x: &nowire::Blob); }", "write `Blob`"),
        (
            "trait S { fn a(&self, x: &mut Ref); }",
            "return what changed",
        ),
    ]);
}

#[test]
fn a_task_awaits_its_streams_and_takes_its_scope_along() {
    accepted(
        "trait S {
            async fn a<'r>(&self, out: &'r mut Scope) -> Found<'r>;
            async fn b(&self, x: AsyncRequests<u8>, y: &mut AsyncReplies<u8>);
            fn c<'r>(&self, out: &'r mut Scope) -> Found<'r>;
        }",
    );
    are_refused(&[
        (
            "trait S { async fn a(&self, x: &mut Replies<u8>); }",
            "&mut AsyncReplies<T>",
        ),
        (
            "trait S { async fn a(&self, x: Requests<u8>); }",
            "AsyncRequests<T>",
        ),
        (
            "trait S { #[nowire(pool)] fn a(&self, x: &mut AsyncReplies<u8>); }",
            "`&mut Replies<T>`",
        ),
        (
            "trait S { fn a(&self, x: AsyncRequests<u8>) -> u8; }",
            "`async fn`",
        ),
        (
            "trait S { async fn a(&self, x: &AsyncReplies<u8>); }",
            "&mut AsyncReplies<T>",
        ),
        (
            "trait S { async fn a(&self, x: &mut AsyncReplies<u8>) -> u8; }",
            "last item",
        ),
        (
            "trait S { async fn a<'r>(&self, x: &'r Scope) -> Found<'r>; }",
            "&'r mut Scope",
        ),
    ]);
}

#[test]
fn arguments_are_a_tuple_with_a_limit() {
    are_refused(&[(
        "trait S {
            fn a(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8);
        }",
        "at most 8",
    )]);
}

#[test]
fn names_of_the_client_are_taken() {
    are_refused(&[
        ("trait S { fn timeout(&self); }", "`timeout`"),
        ("trait S { fn a(&self); fn a_later(&self); }", "`a_later`"),
    ]);
}

#[test]
fn words_that_contradict_each_other_are_refused() {
    are_refused(&[
        (
            "trait S { #[nowire(pool)] async fn a(&self); }",
            "tokio task",
        ),
        ("trait S { #[nowire(fast)] fn a(&self); }", "`pool`"),
        ("trait S { #[cfg(unix)] fn a(&self); }", "whole trait"),
    ]);
}
