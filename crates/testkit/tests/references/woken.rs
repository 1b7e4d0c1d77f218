//! How often a peer that sleeps is woken for what comes.

use std::time::{Duration, Instant};

use nowire::{ListenOptions, Listener, RefOptions};
use nowire_protocol::frame::Frame;
use nowire_protocol::ring::Outgoing;
use nowire_testkit::depot::{Parcel, Receipt};
use nowire_testkit::{HostilePeer, answer_blocks, message};
use prost::Message;

use crate::scene::{DEPOT, PATIENCE, Yard, client, reference};

const CALLS: u32 = 2000;
const BYTES: usize = 100_000;

#[test]
fn a_reference_wakes_once_also_one_who_has_read_it_all_and_sleeps_again() {
    let house = Yard::new();
    let options = ListenOptions {
        runtime_dir: Some(house.dir().to_owned()),
        references: RefOptions::default(),
        ..ListenOptions::default()
    };
    let address = DEPOT.parse().expect("an address");
    let inside = house.runtime().enter();
    let listener = Listener::bind(&[address], options).expect("a name");
    drop(inside);
    let mut client = client(&house, DEPOT, "");
    let calling = house.runtime().spawn(async move {
        let content = reference(1, BYTES);
        for _ in 0..CALLS {
            let stored = client.store(Parcel::of(1, content.clone())).await;
            stored.expect("served");
        }
    });
    let peer = HostilePeer::accept(&listener);
    let mut peer = house.runtime().block_on(peer).expect("a client");
    let (head, tail) = answer_blocks();
    let receipt = message(&Receipt::default().encode_to_vec());
    let answer = Outgoing {
        head: Some(&head),
        data: Some(&receipt),
        tail: Some(&tail),
        end: true,
    };
    // An odd value of this word says that its owner sleeps, another odd one that it
    // has been up in between.
    let mut asleep = 1;
    peer.set_sleeping(asleep);
    let mut rung = (0, 0);
    for call in 1..=CALLS as usize {
        let began = Instant::now();
        while rung.0 < call {
            assert!(began.elapsed() < PATIENCE, "the reference of call {call}");
            let (descriptors, bells) = peer.take_rings();
            rung = (rung.0 + descriptors, rung.1 + bells);
            std::hint::spin_loop();
        }
        asleep += 2;
        peer.set_sleeping(asleep);
        let ends = |frame: &Frame| matches!(frame, Frame::Parts(parts) if parts.end);
        let taken = peer.take_until(ends).expect("a call");
        let Frame::Parts(parts) = taken.frame else {
            panic!("{:?}", taken.frame);
        };
        peer.send(parts.stream, &answer).expect("it is well");
    }
    house.runtime().block_on(calling).expect("no panic");
    std::thread::sleep(Duration::from_millis(10));
    let (descriptors, bells) = peer.take_rings();
    let rung = (rung.0 + descriptors, rung.1 + bells);
    assert_eq!(
        rung,
        (CALLS as usize, 0),
        "descriptors, and bells for nothing"
    );
}
