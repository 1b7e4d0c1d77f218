//! The tree of the tree cases: what it holds, and how prost builds and sums it.

use std::sync::LazyLock;

use nowire_bench_harness::mark::sum;

use crate::exchange::Node;

/// Nodes of the tree.
const NODES: usize = 1_000;
/// Children of a node, as long as there are nodes left.
const CHILDREN: usize = 4;

/// The one tree, the same in every process.
pub(crate) static TREE: LazyLock<Plan> = LazyLock::new(Plan::new);

/// What the tree is built from: private data of whoever builds it.
pub(crate) struct Plan {
    /// Children come before their parent, so that one pass and a stack of
    /// finished subtrees build the whole; the root is last.
    pub(crate) nodes: Vec<Planned>,
    /// What summing the tree must give.
    pub(crate) sum: u64,
}

/// A node without its children.
pub(crate) struct Planned {
    pub(crate) value: u64,
    pub(crate) name: String,
    /// The last so many finished subtrees are its children.
    pub(crate) children: usize,
}

impl Plan {
    fn new() -> Self {
        let mut nodes = Vec::with_capacity(NODES);
        plan(0, &mut nodes);
        let sum = nodes.iter().fold(0_u64, |total, node| {
            total
                .wrapping_add(node.value)
                .wrapping_add(sum(node.name.as_bytes()))
        });
        Self { nodes, sum }
    }
}

/// Plans the node of a number, and before it those below it. Numbered level by
/// level, a node's children follow from its number.
fn plan(number: usize, nodes: &mut Vec<Planned>) {
    let first = number * CHILDREN + 1;
    let children = (first..first + CHILDREN).take_while(|&child| child < NODES);
    let mut count = 0;
    for child in children {
        plan(child, nodes);
        count += 1;
    }
    let value = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // 8 to 39 bytes.
    let mut name = format!("node-{number:03}");
    name.extend((0..value >> 59).map(|letter| char::from(b'a' + (letter % 26) as u8)));
    nodes.push(Planned {
        value,
        name,
        children: count,
    });
}

/// Builds the tree as a message.
pub(crate) fn message(plan: &Plan) -> Node {
    let mut finished: Vec<Node> = Vec::with_capacity(32);
    for node in &plan.nodes {
        let children = finished.drain(finished.len() - node.children..).collect();
        finished.push(Node {
            value: node.value,
            name: node.name.clone(),
            children,
        });
    }
    finished.pop().unwrap_or_default()
}

/// Sums a tree that came as a message.
pub(crate) fn sum_message(node: &Node) -> u64 {
    node.children
        .iter()
        .map(sum_message)
        .fold(node.value, u64::wrapping_add)
        .wrapping_add(sum(node.name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(node: &Node) -> usize {
        1 + node.children.iter().map(count).sum::<usize>()
    }

    #[test]
    fn the_message_is_the_tree_that_was_planned() {
        let tree = message(&TREE);
        assert_eq!(count(&tree), NODES);
        assert_eq!(sum_message(&tree), TREE.sum);
        assert_eq!(tree.children.len(), CHILDREN);
    }

    #[test]
    fn a_changed_name_changes_the_sum() {
        let mut tree = message(&TREE);
        tree.children[1].name.replace_range(0..1, "m");
        assert_ne!(sum_message(&tree), TREE.sum);
    }
}
