//! What this program does as another process of a test.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use nowire::{Blob, CallError, Keeping, Reply, crash_points};
use nowire_testkit::depot::{Depot, DepotClient, DepotServer};
use nowire_testkit::native::{SurveyAsyncClient, SurveyClient, channel_options};
use nowire_testkit::{Jammed, Starved, panics, warnings, watch};

use crate::crashes::work_until_lost;
use crate::jammed::BYTES;
use crate::scene::reference;
use crate::setup::Setup;
use crate::strangers::be_another_user;

pub(crate) const ROLE: &str = "NOWIRE_TEST_ROLE";
pub(crate) const SETUP: &str = "NOWIRE_TEST_SETUP";
pub(crate) const DIR: &str = "NOWIRE_TEST_DIR";

/// Times a point is reached without harm before it kills.
const TIMES: u32 = 3;

/// Messages of any size that this process may have to take.
const MESSAGE_BYTES: usize = 64 << 20;

/// Not a test: what this program does when a test starts it once more.
#[test]
fn process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    watch();
    let words = std::env::var(SETUP).unwrap_or_default();
    let dir = PathBuf::from(std::env::var_os(DIR).expect("a runtime directory"));
    let setup = Setup::new(&words, &dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads");
    match role.as_str() {
        "depot" => depot(&setup, &runtime),
        "caller" => call(&setup, &runtime),
        "another-user" => be_another_user(&setup),
        "weigher" => weigh(&setup, &runtime),
        other => panic!("no such role: {other}"),
    }
    // What is still open is not waited for.
    runtime.shutdown_background();
}

fn announce(what: &str) {
    // The test harness has begun a line.
    println!("\n{what}");
}

/// Arms the point that the setup names, if it names one.
fn arm(setup: &Setup) {
    if let Some(point) = setup.word("crash") {
        crash_points::arm(point, TIMES);
    }
}

/// Serves a depot until its input ends.
fn depot(setup: &Setup, runtime: &tokio::runtime::Runtime) {
    let _inside = runtime.enter();
    let next = setup.word("next").map(|next| setup.channel(next));
    let depot = Depot::new(setup.pool(), next);
    let service = DepotServer::new(depot)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let address = setup.word("at").expect("an address").to_owned();
    let bound = setup.server().add_service(service).bind(&address);
    let bound = runtime.block_on(bound).expect("the address is free");
    let address = bound
        .local_addr()
        .map_or(address, |at| format!("http://{at}"));
    runtime.spawn(bound.serve());
    arm(setup);
    announce(&format!("serving {address}"));
    answer(setup);
}

/// Works as it is told, until its input ends or the other side is gone.
fn call(setup: &Setup, runtime: &tokio::runtime::Runtime) {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    assert!(read.is_ok(), "told to work");
    let lost = {
        let _inside = runtime.enter();
        let channel = setup.channel(setup.word("to").expect("an address"));
        let mut client = DepotClient::new(channel);
        announce("working");
        arm(setup);
        runtime.block_on(work_until_lost(&mut client, setup.says("forwards")))
    };
    announce(&format!("lost {lost}"));
    answer(setup);
}

/// Has data weighed through native calls when it is told to; tells what came of that
/// when it is asked.
fn weigh(setup: &Setup, runtime: &tokio::runtime::Runtime) {
    let mut options = channel_options(setup.dir(), Keeping::Copy);
    options.connect.trusted = setup.trust();
    let address = setup.word("to").expect("an address");
    let channel = nowire::connect_with(address, options).expect("it serves");
    let client = SurveyClient::new(channel.clone());
    let for_tasks = SurveyAsyncClient::new(channel);
    announce("working");
    let mut weighing: Option<std::thread::JoinHandle<String>> = None;
    answer_also(setup, |line| {
        let (client, for_tasks) = (client.clone(), for_tasks.clone());
        let runtime = runtime.handle().clone();
        let told = |weighed: Result<Reply<u64>, CallError>| match weighed {
            Ok(bytes) => bytes.to_string(),
            Err(CallError::DeadlineExceeded { .. }) => "too late".to_owned(),
            Err(error) => error.to_string(),
        };
        let call: Box<dyn FnOnce() -> String + Send> = match line {
            "weigh" => Box::new(move || told(client.weigh(reference(1, BYTES), Blob::default()))),
            "weigh-in-time" => Box::new(move || {
                let client = client.timeout(Duration::from_millis(100));
                told(client.weigh(reference(1, BYTES), Blob::default()))
            }),
            "weigh-in-task" => Box::new(move || {
                let call = for_tasks.weigh(reference(1, BYTES), Blob::default());
                told(runtime.block_on(call))
            }),
            "weighed" => {
                return Some(match weighing.take_if(|call| call.is_finished()) {
                    Some(call) => call.join().expect("no panic"),
                    None => "not yet".to_owned(),
                });
            }
            _ => return None,
        };
        weighing = Some(std::thread::spawn(call));
        Some(String::new())
    });
}

/// Answers questions, in lines, until there are no more.
fn answer(setup: &Setup) {
    answer_also(setup, |_| None);
}

/// The same, and other questions.
fn answer_also(setup: &Setup, mut other: impl FnMut(&str) -> Option<String>) {
    let (mut starved, mut jammed) = (None, None);
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if let Some(answer) = other(&line) {
            println!("{line} {answer}");
            continue;
        }
        match line.as_str() {
            "panics" => println!("panics {}", panics()),
            "misbehaved" => println!("misbehaved {}", warnings("misbehaved").len()),
            "segments" => {
                setup.pool().reclaim();
                println!("segments {}", setup.pool().usage().segments);
            }
            "starve" => {
                starved = Some(Starved::new());
                println!("starve");
            }
            "feed" => {
                drop(starved.take());
                println!("feed");
            }
            "jam" => {
                jammed = Some(Jammed::new());
                println!("jam");
            }
            "unjam" => {
                drop(jammed.take());
                println!("unjam");
            }
            other => println!("what is {other:?}?"),
        }
    }
}
