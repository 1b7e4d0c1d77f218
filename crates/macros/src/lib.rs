//! The derive macro and the attribute of Nowire's native calls. They are used
//! through `nowire`, whose paths the generated code names.
#![forbid(unsafe_code)]

mod errors;
mod paths;
mod service;
mod shared;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a type one that other processes can read where it lies.
///
/// It is for structs, and for enums with `#[repr(u8)]`, whose fields are all
/// `Shared`: numbers, `bool`, `char`, arrays, tuples, `Option`, other such types,
/// and what points into a scope: `Ptr`, `Slice`, `Str` and the maps. A type that
/// points has one lifetime parameter, that of the scope it lies in. Type
/// parameters are `Shared` too.
///
/// ```text
/// #[derive(Shared)]
/// struct Order<'s> {
///     id: u64,
///     note: Str<'s>,
///     lines: Slice<'s, Line>,
///     parent: Option<Ptr<'s, Order<'s>>>,
/// }
///
/// #[derive(Shared, Clone, Copy)]
/// struct Line {
///     sku: u32,
///     count: u16,
/// }
/// ```
///
/// The other side may send every combination of valid fields, whatever the type's
/// own functions allow: what must hold between fields is checked by who uses them.
#[proc_macro_derive(Shared)]
pub fn derive_shared(input: TokenStream) -> TokenStream {
    shared::expand(parse_macro_input!(input))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Makes a trait a service that other processes can call.
///
/// For `trait Pricing` it makes `PricingServer<T>`, which serves any
/// `T: Pricing`, and two clients: `PricingClient`, whose methods block, and
/// `PricingAsyncClient`, whose methods are awaited.
///
/// ```text
/// #[nowire::service]
/// trait Pricing {
///     /// Runs on the thread that polls: keep it short.
///     fn quote(&self, order: &Order) -> Quote;
///     /// Runs in the worker pool.
///     #[nowire(pool)]
///     fn slow(&self, order: &Order) -> u64;
///     /// Runs as a tokio task.
///     async fn later(&self, order: &Order<'_>) -> u64;
///     /// May hold its argument after the call.
///     fn keep(&self, order: Kept<Order<'static>>) -> u64;
///     /// Builds its reply in the server's memory.
///     fn find<'r>(&self, id: u64, out: &'r Scope) -> Result<Found<'r>, NotFound>;
///     /// Sees metadata, deadline and peer.
///     fn traced(&self, cx: &Context, n: u64) -> u64;
///     /// Replies with a stream.
///     #[nowire(pool)]
///     fn list(&self, n: u64, items: &mut Replies<Item>);
///     /// Takes a stream of requests.
///     #[nowire(pool)]
///     fn sum(&self, items: Requests<Item>) -> u64;
///     /// The same as a task.
///     async fn await_sum(&self, items: AsyncRequests<Item>) -> u64;
///     /// Builds its reply between waits.
///     async fn fetch<'r>(&self, id: u64, out: &'r mut Scope) -> Found<'r>;
/// }
/// ```
///
/// Parameters are `&T`, read where the caller built it; `Kept<T>`, the same, and
/// the handler's to hold; `T` by value, if it is plain data and `Copy`; at most
/// eight of these. A reply is `()`, a value, or a `Result` whose error travels
/// too; one that points is built in the scope that the method takes. An `async
/// fn` takes `&mut Scope`, `AsyncRequests` and `&mut AsyncReplies`.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(arguments.into(), parse_macro_input!(item))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
