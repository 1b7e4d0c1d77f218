//! iceoryx2's request-response, as fast as its users can have it: the variant
//! for one thread, loaned memory, both sides polling, and queues for exactly
//! the number of requests in flight.

pub(crate) mod client;
pub(crate) mod server;

use ::iceoryx2::node::Node;
use ::iceoryx2::prelude::{NodeBuilder, ipc};
use ::iceoryx2::service::port_factory::request_response::PortFactory;
use anyhow::Result;
use nowire_bench_harness::cell::Load;

/// Numbers there and back.
type Numbers = PortFactory<ipc::Service, u64, (), u64, ()>;
/// Bytes there, a number back.
type Bytes = PortFactory<ipc::Service, [u8], (), u64, ()>;

/// More connections at a time than any case makes.
const CLIENTS: usize = 4;

/// The number that ends a run.
const OVER: u64 = u64::MAX;

fn node() -> Result<Node<ipc::Service>> {
    Ok(NodeBuilder::new().create::<ipc::Service>()?)
}

/// A service of its own for each run of benchmarks and each number in flight.
fn name(address: &str, kind: &str, load: Load) -> String {
    format!("{address}/{kind}/{}", load.in_flight)
}

fn numbers(node: &Node<ipc::Service>, address: &str, load: Load) -> Result<Numbers> {
    let name = name(address, "numbers", load);
    Ok(node
        .service_builder(&name.as_str().try_into()?)
        .request_response::<u64, u64>()
        .enable_fire_and_forget_requests(false)
        .max_active_requests_per_client(load.in_flight)
        .max_loaned_requests(1)
        .max_response_buffer_size(1)
        .max_borrowed_responses_per_pending_response(1)
        .max_servers(1)
        .max_clients(CLIENTS)
        .max_nodes(CLIENTS + 1)
        .open_or_create()?)
}

fn bytes(node: &Node<ipc::Service>, address: &str, load: Load) -> Result<Bytes> {
    let name = name(address, "bytes", load);
    Ok(node
        .service_builder(&name.as_str().try_into()?)
        .request_response::<[u8], u64>()
        .enable_fire_and_forget_requests(false)
        .max_active_requests_per_client(load.in_flight)
        .max_loaned_requests(1)
        .max_response_buffer_size(1)
        .max_borrowed_responses_per_pending_response(1)
        .max_servers(1)
        .max_clients(CLIENTS)
        .max_nodes(CLIENTS + 1)
        .open_or_create()?)
}
