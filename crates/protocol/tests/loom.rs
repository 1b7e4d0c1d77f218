//! Every interleaving of the ring and the bell, within small bounds: the code
//! that ships, over loom's atomics. Built with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

#[path = "loom/turns.rs"]
mod turns;

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};

use loom::sync::{Arc, Notify};
use loom::thread;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Frame, Message, MessageKind, StreamId};
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::memory::PrivateMemory;
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};

const STREAM: StreamId = StreamId { index: 0, call: 1 };

/// Runs `model` in every interleaving and prints how many there were.
fn exhaust(name: &str, model: impl Fn() + Send + Sync + 'static) {
    exhaust_within(name, None, model);
}

/// Runs `model` in every interleaving in which threads are interrupted at most
/// so many times, where all would be too many.
fn exhaust_within(
    name: &str,
    interruptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let executions = StdArc::new(AtomicUsize::new(0));
    let counted = StdArc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = interruptions.or(builder.preemption_bound);
    builder.check(move || {
        counted.fetch_add(1, StdOrdering::Relaxed);
        model();
    });
    let executions = executions.load(StdOrdering::Relaxed);
    match interruptions {
        None => println!("loom: {name}: {executions} executions"),
        Some(most) => {
            println!("loom: {name}: {executions} executions of up to {most} interruptions");
        }
    }
}

struct Outboxes {
    producer: Arc<PrivateMemory>,
    consumer: Arc<PrivateMemory>,
}

fn outboxes(geometry: Geometry) -> Outboxes {
    Outboxes {
        producer: Arc::new(PrivateMemory::zeroed(geometry.outbox_bytes())),
        consumer: Arc::new(PrivateMemory::zeroed(
            Geometry::for_model(1, 0).outbox_bytes(),
        )),
    }
}

fn take(consumer: &mut Consumer, peer: &PrivateMemory, own: &PrivateMemory) -> Option<u64> {
    match consumer.peek(peer).expect("an honest peer")? {
        Frame::Ping { token, .. } => {
            consumer.advance(own, 0);
            Some(token)
        }
        frame => panic!("not what was sent: {frame:?}"),
    }
}

#[test]
fn frames_arrive_once_in_order_over_the_end_of_the_ring() {
    exhaust("ring of 2 slots, 4 frames", || {
        let geometry = Geometry::for_model(2, 0);
        let Outboxes {
            producer: out,
            consumer: own,
        } = outboxes(geometry);
        let (peer, acknowledged) = (Arc::clone(&out), Arc::clone(&own));
        let sending = thread::spawn(move || {
            let mut producer = Producer::new(geometry);
            for token in 1..=4 {
                let ping = Control::Ping {
                    token,
                    answer: false,
                };
                while !producer
                    .push_control(&*out, &*acknowledged, ping)
                    .expect("an honest peer")
                {
                    thread::yield_now();
                }
            }
        });
        let mut consumer = Consumer::new(geometry);
        for expected in 1..=4 {
            let token = loop {
                if let Some(token) = take(&mut consumer, &peer, &own) {
                    break token;
                }
                consumer.publish(&*own);
                thread::yield_now();
            };
            assert_eq!(token, expected);
        }
        sending.join().expect("no panic");
    });
}

#[test]
fn a_payload_is_whole_when_its_stamp_is_seen() {
    exhaust("payload in the data area", || {
        let geometry = Geometry::for_model(2, 256);
        let Outboxes {
            producer: out,
            consumer: own,
        } = outboxes(geometry);
        let peer = Arc::clone(&out);
        let acknowledged = Arc::clone(&own);
        let sending = thread::spawn(move || {
            let mut producer = Producer::new(geometry);
            let data = [7; 40];
            let parts = Outgoing {
                head: Some(&[1, 2]),
                data: Some(&data),
                tail: None,
                end: true,
            };
            assert!(
                producer
                    .push_parts(&*out, &*acknowledged, STREAM, &parts)
                    .expect("an honest peer")
            );
        });
        let consumer = Consumer::new(geometry);
        if let Some(Frame::Parts(parts)) = consumer.peek(&*peer).expect("an honest peer") {
            let mut payload = [0; 42];
            consumer.copy_payload(&*peer, &parts, &mut payload);
            assert_eq!(payload[..2], [1, 2]);
            assert_eq!(payload[2..], [7; 40]);
            assert!(parts.end);
        }
        sending.join().expect("no panic");
    });
}

#[test]
fn a_call_is_whole_when_its_stamp_is_seen_also_where_another_lay() {
    exhaust("ring of 1 slot, 2 calls", || {
        let geometry = Geometry::for_model(1, 0);
        let Outboxes {
            producer: out,
            consumer: own,
        } = outboxes(geometry);
        let (peer, acknowledged) = (Arc::clone(&out), Arc::clone(&own));
        let sending = thread::spawn(move || {
            let mut producer = Producer::new(geometry);
            for number in 1..=2 {
                while !producer
                    .push_message(&*out, &*acknowledged, MessageKind::Call, &call(number))
                    .expect("an honest peer")
                {
                    thread::yield_now();
                }
            }
        });
        let mut consumer = Consumer::new(geometry);
        for number in 1..=2 {
            let frame = loop {
                match consumer.peek(&*peer).expect("an honest peer") {
                    Some(frame) => break frame,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(frame, Frame::Call(call(number)));
            consumer.advance(&*own, 0);
            consumer.publish(&*own);
        }
        sending.join().expect("no panic");
    });
}

/// A call with its number in every word.
fn call(number: u32) -> Message {
    Message {
        stream: StreamId {
            index: number,
            call: number,
        },
        flags: Message::AHEAD,
        code: number as u16,
        timeout_us: number,
        page: number,
        bytes: number,
        inline: [u64::from(number); 4],
    }
}

#[test]
fn no_wake_up_is_lost_between_lying_down_and_ringing() {
    exhaust("bell, 2 frames", || {
        all_frames_wake(|ringer, sleeping, bell, push| {
            push();
            if ringer.must_ring(sleeping) {
                bell.notify();
            }
        });
    });
}

#[test]
fn no_wake_up_is_lost_when_a_descriptor_is_the_doorbell() {
    exhaust_within("descriptor as bell, 2 frames", Some(3), || {
        all_frames_wake(|ringer, sleeping, bell, push| {
            if ringer.must_ring(sleeping) {
                push();
                // The descriptor, which is sent however it stands by now.
                bell.notify();
                return;
            }
            bell.notify();
            push();
            if ringer.must_ring(sleeping) {
                bell.notify();
            }
        });
    });
}

/// Two frames for a peer that sleeps when there is none, each sent by `send`, which is
/// given what pushes it.
fn all_frames_wake(
    send: impl Fn(&mut Ringer, &PrivateMemory, &Notify, &mut dyn FnMut()) + Send + 'static,
) {
    let geometry = Geometry::for_model(4, 0);
    let Outboxes {
        producer: out,
        consumer: own,
    } = outboxes(geometry);
    let bell = Arc::new(Notify::new());
    let (peer, sleeping, rung) = (Arc::clone(&out), Arc::clone(&own), Arc::clone(&bell));
    let sending = thread::spawn(move || {
        let mut producer = Producer::new(geometry);
        let mut ringer = Ringer::new(SLEEPING_OFFSET);
        for token in 1..=2 {
            let ping = Control::Ping {
                token,
                answer: false,
            };
            send(&mut ringer, &sleeping, &rung, &mut || {
                assert!(
                    producer
                        .push_control(&*out, &*sleeping, ping)
                        .expect("an honest peer")
                );
            });
        }
    });
    let mut consumer = Consumer::new(geometry);
    let mut sleeper = Sleeper::new(SLEEPING_OFFSET);
    let mut taken = 0;
    while taken < 2 {
        if take(&mut consumer, &peer, &own).is_some() {
            taken += 1;
            continue;
        }
        sleeper.lie_down(&*own);
        if !consumer.is_ready(&*peer) {
            // Loom reports a deadlock if this is never rung.
            bell.wait();
        }
        sleeper.get_up(&*own);
    }
    sending.join().expect("no panic");
}

#[test]
fn no_wake_up_is_lost_between_wanting_room_and_giving_it() {
    exhaust("room, ring of 1 slot", || {
        let geometry = Geometry::for_model(1, 0);
        let Outboxes {
            producer: out,
            consumer: own,
        } = outboxes(geometry);
        let bell = Arc::new(Notify::new());
        let (peer, acknowledged, rung) = (Arc::clone(&out), Arc::clone(&own), Arc::clone(&bell));
        let taking = thread::spawn(move || {
            let mut consumer = Consumer::new(geometry);
            let mut ringer = Ringer::new(WANTS_ROOM_OFFSET);
            let mut taken = 0;
            while taken < 2 {
                if take(&mut consumer, &peer, &acknowledged).is_some() {
                    taken += 1;
                    consumer.publish(&*acknowledged);
                    if ringer.must_ring(&*peer) {
                        rung.notify();
                    }
                } else {
                    thread::yield_now();
                }
            }
        });
        let mut producer = Producer::new(geometry);
        let mut wants_room = Sleeper::new(WANTS_ROOM_OFFSET);
        for token in 1..=2 {
            let ping = Control::Ping {
                token,
                answer: false,
            };
            while !producer
                .push_control(&*out, &*own, ping)
                .expect("an honest peer")
            {
                wants_room.lie_down(&*out);
                if !producer.is_drained(&*own).expect("an honest peer") {
                    bell.wait();
                }
                wants_room.get_up(&*out);
            }
        }
        taking.join().expect("no panic");
    });
}
