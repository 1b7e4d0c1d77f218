//! Hostile peers, each a process of its own, against an honest server or client
//! of this process: the honest side says who misbehaved and how, closes that one
//! connection and serves the others; it neither panics nor hangs.

mod changing;
mod floods;
mod lying_client;
mod lying_server;
mod native;
mod odd_but_allowed;
mod references;
mod scene;
