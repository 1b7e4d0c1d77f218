//! Users who have as many descriptors on their way as the kernel lets them.

use std::time::Duration;

use nowire_testkit::depot::{Nothing, Parcel, contents};

use nowire::{Server, Trust};
use nowire_testkit::Program;
use nowire_testkit::native::{SurveyServer, Surveyor};

use crate::scene::{
    DEPOT, LAST, NOBODY, PATIENCE, Yard, assert_lets_go, assert_live, client, command_as, depot,
    depot_as, reference, wait_until,
};

/// Another user without privileges: what is on its way counts for a user.
const NOBODY_ELSE: u32 = NOBODY - 1;

pub(crate) const BYTES: usize = 50_000;

#[test]
fn descriptors_that_the_kernel_does_not_take_now_are_handed_over_later() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to run a program as another user");
        return;
    }
    let house = Yard::open_to_all();
    let mut last = depot(&house, &format!("at={LAST} trusted={NOBODY}"));
    let setup = format!("at={DEPOT} next={LAST} trusted=0");
    let mut forwarder = depot_as(NOBODY, &house, &setup);
    let mut inspector = client(&house, LAST, "");
    let mut client = client(&house, DEPOT, &format!("trusted={NOBODY}"));
    house.runtime().block_on(async {
        client
            .forward(Parcel::of(1, reference(1, BYTES)))
            .await
            .expect("served");
        for round in 2..5 {
            assert_eq!(forwarder.ask("jam"), "");
            let mut forwarding: Vec<_> = (0..3)
                .map(|_| {
                    let mut client = client.clone();
                    tokio::spawn(async move {
                        let sent = reference(round, BYTES);
                        client.forward(Parcel::of(round, sent)).await
                    })
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(forwarding.iter().all(|call| !call.is_finished()));
            // Other calls to the forwarder go on.
            let small = Parcel::of(round, contents(round, 100));
            let receipt = client.store(small).await.expect("served").into_inner();
            assert_eq!((receipt.failed, receipt.wrong), (0, 0), "{receipt:?}");
            assert_eq!(forwarder.ask("unjam"), "");
            for call in forwarding.drain(..) {
                let call = tokio::time::timeout(PATIENCE, call);
                let receipt = call.await.expect("no hang").expect("no panic");
                let receipt = receipt.expect("served").into_inner();
                assert_eq!((receipt.failed, receipt.wrong), (0, 0), "{receipt:?}");
                assert_eq!(receipt.by_reference, 1);
            }
        }
        inspector.clear(Nothing {}).await.expect("served");
    });
    for program in [&mut forwarder, &mut last] {
        assert_eq!(program.ask("misbehaved"), "0");
        assert_eq!(program.ask("panics"), "0");
    }
    assert_lets_go(&forwarder);
    assert_live(0);
}

#[test]
fn a_native_call_waits_until_the_kernel_takes_its_descriptors() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to run a program as another user");
        return;
    }
    let house = Yard::open_to_all();
    let _running = Server::builder()
        .add(SurveyServer::new(Surveyor::default()))
        .runtime_dir(house.dir())
        .allowed(Trust {
            uids: vec![NOBODY_ELSE],
            gids: Vec::new(),
        })
        .start("nowire:survey")
        .expect("the address is free");
    let setup = "to=nowire:survey trusted=0";
    let mut weigher = Program::run(command_as(NOBODY_ELSE, &house, "weigher", setup));
    weigher.line("working");
    for how in ["weigh", "weigh-in-task", "weigh"] {
        weigher.ask("jam");
        weigher.ask(how);
        // Long enough for thousands of attempts.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(weigher.ask("weighed"), "not yet");
        weigher.ask("unjam");
        let mut weighed = String::new();
        wait_until("it is weighed", || {
            weighed = weigher.ask("weighed");
            weighed != "not yet"
        });
        assert_eq!(weighed, BYTES.to_string());
    }
    weigher.ask("jam");
    weigher.ask("weigh-in-time");
    let mut weighed = String::new();
    wait_until("its time is up", || {
        weighed = weigher.ask("weighed");
        weighed != "not yet"
    });
    assert_eq!(weighed, "too late");
    weigher.ask("unjam");
    assert_eq!(weigher.ask("panics"), "0");
}
