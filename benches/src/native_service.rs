//! The service of the native carriers: the same questions as over gRPC.

use nowire::{Scope, ScopeError, Shared, Slice, Str};
use nowire_bench_harness::mark::sum;

use crate::tree::{Plan, TREE};

/// A node of the tree.
#[derive(Shared)]
pub(crate) struct Node<'s> {
    value: u64,
    name: Str<'s>,
    children: Slice<'s, Node<'s>>,
}

/// Bytes of no meaning.
#[derive(Shared)]
pub(crate) struct Payload<'s> {
    pub(crate) data: Slice<'s, u8>,
}

/// What native calls ask.
#[nowire::service]
pub(crate) trait Exchange {
    /// The same number back.
    fn noop(&self, number: u64) -> u64;
    /// The sum over a tree.
    fn sum(&self, tree: &Node) -> u64;
    /// A tree made for this call.
    fn fetch<'r>(&self, out: &'r Scope) -> Result<Node<'r>, NoRoom>;
    /// How many bytes there are; they are not read.
    fn pass(&self, payload: &Payload) -> u64;
    /// The sum of all bytes.
    fn read(&self, payload: &Payload) -> u64;
}

/// The scope of a reply is too small for it.
#[derive(Shared, Clone, Copy, Debug)]
pub(crate) struct NoRoom {
    capacity_bytes: u64,
}

/// The handlers, the same for every tier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handlers;

impl Exchange for Handlers {
    fn noop(&self, number: u64) -> u64 {
        number
    }

    fn sum(&self, tree: &Node) -> u64 {
        sum_tree(tree)
    }

    fn fetch<'r>(&self, out: &'r Scope) -> Result<Node<'r>, NoRoom> {
        build(out, &TREE).map_err(|_| NoRoom {
            capacity_bytes: out.capacity_bytes() as u64,
        })
    }

    fn pass(&self, payload: &Payload) -> u64 {
        payload.data.len() as u64
    }

    fn read(&self, payload: &Payload) -> u64 {
        sum(&payload.data)
    }
}

/// Builds the tree in a scope.
pub(crate) fn build<'s>(scope: &'s Scope, plan: &Plan) -> Result<Node<'s>, ScopeError> {
    let mut finished: Vec<Node<'s>> = Vec::with_capacity(32);
    for node in &plan.nodes {
        let children = scope.slice_of(finished.drain(finished.len() - node.children..))?;
        finished.push(Node {
            value: node.value,
            name: scope.str(&node.name)?,
            children,
        });
    }
    // A plan has a root.
    finished.pop().map_or_else(
        || {
            Ok(Node {
                value: 0,
                name: scope.str("")?,
                children: scope.slice_of([])?,
            })
        },
        Ok,
    )
}

/// Sums a tree that lies in a scope.
pub(crate) fn sum_tree(node: &Node) -> u64 {
    node.children
        .iter()
        .map(sum_tree)
        .fold(node.value, u64::wrapping_add)
        .wrapping_add(sum(node.name.as_bytes()))
}
