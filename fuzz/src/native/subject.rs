//! The service that is served and called.

use std::sync::{Mutex, PoisonError};

use nowire::macro_support::Service;
use nowire::{Context, Kept, Ptr, Replies, Requests, Scope, ScopeError, Shared, Slice, Str};

/// What is passed.
#[derive(Debug, PartialEq, Shared)]
pub(super) struct Node<'s> {
    pub(super) text: Str<'s>,
    pub(super) flag: Option<bool>,
    pub(super) below: Slice<'s, Node<'s>>,
}

#[nowire::service]
pub(super) trait Subject {
    fn measure(&self, node: &Node) -> u64;
    #[nowire(pool)]
    fn measure_aside(&self, node: &Node) -> u64;
    fn keep(&self, node: Kept<Node<'static>>) -> u64;
    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Node<'r>>, [u64; 6]>;
    fn turn(&self, words: [u64; 8]) -> [u64; 8];
    #[nowire(pool)]
    fn gather(&self, nodes: Requests<Ptr<'static, Node<'static>>>) -> u64;
    #[nowire(pool)]
    fn scatter(&self, count: u64, numbers: &mut Replies<u64>);
    async fn later(&self, node: &Node) -> u64;
    fn who(&self, context: &Context) -> u64;
}

#[derive(Default)]
pub(super) struct Honest {
    kept: Mutex<Option<Kept<Node<'static>>>>,
}

/// Goes through all of a node.
pub(super) fn measure(node: &Node<'_>) -> u64 {
    let mut rest = vec![node];
    let mut sum = 0;
    while let Some(node) = rest.pop() {
        assert!(str::from_utf8(node.text.as_bytes()).is_ok());
        sum += node.text.len() as u64 + u64::from(node.flag == Some(true));
        rest.extend(&node.below);
    }
    sum
}

impl Subject for Honest {
    fn measure(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn measure_aside(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn keep(&self, node: Kept<Node<'static>>) -> u64 {
        let sum = measure(node.get());
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        sum
    }

    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Node<'r>>, [u64; 6]> {
        let node = Node {
            text: out.str("drawn").map_err(|_| [number; 6])?,
            flag: None,
            below: Slice::empty(),
        };
        out.build(node).map_err(|_| [number; 6])
    }

    fn turn(&self, mut words: [u64; 8]) -> [u64; 8] {
        words.reverse();
        words
    }

    fn gather(&self, nodes: Requests<Ptr<'static, Node<'static>>>) -> u64 {
        nodes.map(|node| measure(node.get())).sum()
    }

    fn scatter(&self, count: u64, numbers: &mut Replies<u64>) {
        for number in 0..count {
            if numbers.send(number).is_err() {
                return;
            }
        }
    }

    async fn later(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn who(&self, context: &Context) -> u64 {
        context.all_metadata().len() as u64
    }
}

/// A node with another below it.
pub(super) fn node(scope: &Scope) -> Result<Ptr<'_, Node<'_>>, ScopeError> {
    let below = scope.slice_of([Node {
        text: scope.str("below")?,
        flag: None,
        below: Slice::empty(),
    }])?;
    scope.build(Node {
        text: scope.str("above")?,
        flag: Some(true),
        below,
    })
}

/// What a server says of its methods.
#[derive(Shared)]
pub(super) struct Description<'s> {
    methods: Slice<'s, Described<'s>>,
}

#[derive(Shared)]
struct Described<'s> {
    code: u16,
    name: Str<'s>,
    layout: Str<'s>,
}

/// What an honest server says of this service.
pub(super) fn describe(scope: &Scope) -> Result<Description<'_>, ScopeError> {
    let mut methods = Vec::new();
    for (method, code) in SubjectServer::new(Honest::default())
        .methods()
        .iter()
        .zip(1..)
    {
        let parts = [
            ("arguments", Some(method.args)),
            ("reply", Some(method.reply)),
            ("error", method.error),
            ("requests", method.requests),
            ("replies", method.replies),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(what, layout)| Some(format!("{what}\n{}", layout?().text())));
        let layout = parts.collect::<Vec<_>>().join("\n--\n");
        methods.push(Described {
            code,
            name: scope.str(method.name)?,
            layout: scope.str(&layout)?,
        });
    }
    Ok(Description {
        methods: scope.slice_of(methods)?,
    })
}
