//! `#[service]`: a trait that other processes can call.

mod client;
mod guards;
mod item;
mod model;
mod parse;
mod server;
mod table;
mod types;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemTrait, Result};

/// The trait, the server's dispatch and the clients.
pub(crate) fn expand(arguments: TokenStream, item: ItemTrait) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "#[service] takes no arguments: what a method needs is written above the method",
        ));
    }
    let service = parse::parse(item)?;
    let item = &service.item;
    let server = server::generate(&service);
    let client = client::generate(&service);
    let guards = guards::generate(&service);
    Ok(quote!(#item #server #client #guards))
}
