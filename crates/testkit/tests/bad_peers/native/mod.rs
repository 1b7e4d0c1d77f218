//! The same of native calls.

mod changing;
mod floods;
mod handshake;
mod honest;
mod lying_client;
mod lying_server;
mod refused;
mod scene;
mod sealed;
