//! What this program does as another process of a test.

use std::io::Read;
use std::path::PathBuf;

use nowire::{
    Channel, ChannelOptions, HeapOptions, Keeping, Pool, RefOptions, SealFrom, Server,
    ServerBuilder, Wait,
};

use crate::house::NAME;
use crate::lab::{Bench, LabClient, LabServer, leaf, tree};
use crate::lending::{ShelfServer, Stand};
use crate::post::{Office, PostClient, PostServer};
use crate::shapes::MirrorServer;
use crate::{crashes, layouts, references_killed};

pub(crate) const ROLE: &str = "NOWIRE_TEST_ROLE";
pub(crate) const SETUP: &str = "NOWIRE_TEST_SETUP";
pub(crate) const RUNTIME: &str = "NOWIRE_TEST_RUNTIME";

/// Words as `keeping=trust`, which say how the process is set up.
pub(crate) struct Setup(String);

impl Setup {
    fn from_environment() -> Self {
        Self(std::env::var(SETUP).unwrap_or_default())
    }

    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let mut words = self.0.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        Some(self.word(name)?.parse().expect("a number"))
    }

    fn keeping(&self) -> Keeping {
        match self.word("keeping") {
            Some("trust") => Keeping::Trust,
            Some("copy") => Keeping::Copy,
            Some("seal") | None => Keeping::Seal,
            Some(other) => panic!("keeping={other}"),
        }
    }

    fn wait(&self) -> Wait {
        match self.word("wait") {
            Some("park") => Wait::Park,
            Some("spin") => Wait::Spin,
            _ => Wait::Adaptive,
        }
    }

    fn heap(&self) -> HeapOptions {
        let mut heap = crate::house::heap();
        if let Some(bytes) = self.number("quota") {
            heap.quota_bytes = bytes;
        }
        heap.seal = match self.number("seal_from") {
            Some(bytes) => SealFrom::Bytes(bytes as u32),
            None => SealFrom::Never,
        };
        heap
    }

    fn references(&self) -> RefOptions {
        let defaults = RefOptions::default();
        RefOptions {
            enabled: self.word("references") != Some("off"),
            held_limit: self
                .number("held")
                .map_or(defaults.held_limit, |held| held as usize),
            keeping: match self.word("trust") {
                Some("refs") => Keeping::Trust,
                _ => defaults.keeping,
            },
            ..defaults
        }
    }

    pub(crate) fn server(&self) -> ServerBuilder {
        let mut server = Server::builder()
            .runtime_dir(runtime_dir())
            .keeping(self.keeping())
            .wait(self.wait())
            .options(|options| {
                options.heap = Some(self.heap());
                options.references = self.references();
                options.handshake_timeout = crate::vitals::PATIENCE;
                if let Some(bytes) = self.number("all_shared") {
                    options.max_shared_bytes = bytes as usize;
                }
                if let Some(streams) = self.number("streams") {
                    options.max_streams = streams as u32;
                }
            });
        if let Some(workers) = self.number("workers") {
            server = server.workers(workers as usize);
        }
        if let Some(pollers) = self.number("pollers") {
            server = server.pollers(pollers as usize);
        }
        if let Some(bytes) = self.number("reply_scope") {
            server = server.reply_scope_bytes(bytes as usize);
        }
        server
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel_to(NAME)
    }

    fn channel_to(&self, name: &str) -> Channel {
        let mut options = ChannelOptions {
            keeping: self.keeping(),
            wait: self.wait(),
            ..ChannelOptions::default()
        };
        options.connect.heap = Some(self.heap());
        options.connect.references = self.references();
        options.connect.runtime_dir = Some(runtime_dir());
        options.connect.timeout = crate::vitals::PATIENCE;
        nowire::connect_with(name, options).expect("the server is there")
    }
}

pub(crate) fn runtime_dir() -> PathBuf {
    std::env::var_os(RUNTIME)
        .expect("a runtime directory")
        .into()
}

/// Blocks until the test lets this process end.
pub(crate) fn wait_for_the_end() {
    // Whatever it says, there is nobody left to serve.
    let _ = std::io::stdin().read(&mut [0]);
}

fn announce(what: &str) {
    // The test harness has begun a line.
    println!("\n{what}");
}

/// Not a test: what this program does when a test starts it once more.
#[test]
fn process() {
    let setup = Setup::from_environment();
    match std::env::var(ROLE).as_deref() {
        Ok("serve") => {
            let server = setup.server();
            let server = server
                .add(LabServer::new(Bench::default()))
                .add(MirrorServer::new(crate::shapes::Glass))
                .add(ShelfServer::new(Stand::default()));
            crashes::arm(&setup);
            let running = server.start(NAME).expect("a free name");
            announce("serving");
            wait_for_the_end();
            running.shutdown();
        }
        Ok("other layouts") => {
            let running = layouts::other(&setup).start(NAME).expect("a free name");
            announce("serving");
            wait_for_the_end();
            running.shutdown();
        }
        Ok("office") => {
            let next = setup.word("next");
            let next = next.map(|name| PostClient::new(setup.channel_to(name)));
            let server = setup.server().add(PostServer::new(Office::before(next)));
            let name = setup.word("name").unwrap_or(NAME);
            crashes::arm(&setup);
            let running = server.start(name).expect("a free name");
            announce("serving");
            wait_for_the_end();
            running.shutdown();
        }
        Ok("sender") => {
            // Has data kept, and waits to be killed.
            let client = PostClient::new(setup.channel());
            for byte in 1..=3 {
                let data = Pool::process().copy_of(&[byte; 100_000]);
                client.keep(data.expect("room")).expect("kept");
            }
            announce("kept");
            wait_for_the_end();
        }
        Ok("keeper") => {
            // Hands trees over, and waits to be killed.
            let client = LabClient::new(setup.channel());
            for _ in 0..setup.number("trees").unwrap_or(1) {
                let scope = client.scope().expect("room");
                client.keep(leaf(&scope, 1)).expect("kept");
            }
            announce("kept");
            wait_for_the_end();
        }
        Ok("waiter") => {
            // Has calls open in the pool and as tasks, and waits to be killed.
            let client = LabClient::new(setup.channel());
            let scope = client.scope().expect("room");
            let small = scope
                .build(tree(&scope, 1, 2).expect("room"))
                .expect("room");
            let calls: Vec<_> = (0..4)
                .map(|_| client.weigh_at_gate_later(&small).expect("sent"))
                .collect();
            let tasks: Vec<_> = (0..4)
                .map(|_| client.wait_forever_later().expect("sent"))
                .collect();
            announce("waiting");
            wait_for_the_end();
            drop((calls, tasks));
        }
        Ok("streamer") => {
            // Has streams with tasks open, and waits to be killed.
            let client = LabClient::new(setup.channel());
            let mut names = client.names_in_task(u64::MAX).expect("sent");
            names.next_reply().expect("served").expect("an item");
            let mut sum = client.weigh_all_in_task().expect("sent");
            let scope = client.scope().expect("room");
            let item = tree(&scope, 1, 2).expect("room");
            let taken = || client.seen().expect("served").taken;
            let before = taken();
            assert!(sum.send(item).expect("taken"));
            crate::vitals::wait_until("it is taken", || taken() > before);
            announce("streaming");
            wait_for_the_end();
            drop((names, sum));
        }
        Ok("idler") => {
            let client = LabClient::new(setup.channel());
            assert_eq!(*client.add(1, 2).expect("served"), 3);
            announce("idle");
            wait_for_the_end();
        }
        Ok("caller") => crashes::call(&setup, announce),
        Ok("parcel") => references_killed::call(&setup, announce),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}
