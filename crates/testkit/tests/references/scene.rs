//! What the tests share: programs, and what they hold.

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nowire::{Pool, Ref};
use nowire_testkit::depot::{DepotClient, contents};
use nowire_testkit::{House, Program};

use crate::child::{DIR, ROLE, SETUP};
use crate::setup::Setup;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const DEPOT: &str = "nowire:depot";
pub(crate) const LAST: &str = "nowire:last";

/// A user without privileges.
pub(crate) const NOBODY: u32 = 65_534;

pub(crate) type Client = DepotClient<nowire_grpc::Channel>;

/// This program once more, in a role.
pub(crate) fn command(house: &House, role: &str, setup: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    role_of(Command::new(program), house, role, setup)
}

/// This program once more, in a role, run by another user. Only root may do that, and
/// the house must be [open](Yard::open_to_all).
pub(crate) fn command_as(uid: u32, house: &House, role: &str, setup: &str) -> Command {
    let program = house.dir().join("program");
    // Not copied by this process: a child that another test starts meanwhile would
    // hold the file open for writing, and then it cannot be run.
    let this = std::env::current_exe().expect("this program");
    let copied = Command::new("cp").arg(this).arg(&program).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "room for a copy"
    );
    let mut command = Command::new(program);
    command.uid(uid).gid(uid);
    role_of(command, house, role, setup)
}

fn role_of(mut command: Command, house: &House, role: &str, setup: &str) -> Command {
    command
        .args(["--exact", "child::process", "--nocapture"])
        .env(ROLE, role)
        .env(SETUP, setup)
        .env(DIR, house.dir());
    command
}

/// A house for a test that has this process to itself: what the process holds and
/// has in its pool is counted.
pub(crate) struct Yard {
    house: House,
    _alone: MutexGuard<'static, ()>,
}

impl Yard {
    pub(crate) fn new() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            house: House::new(),
            _alone: alone,
        }
    }

    /// A house that other users may enter.
    pub(crate) fn open_to_all() -> Self {
        let house = Self::new();
        let open = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(house.dir(), open).expect("the directory is ours");
        house
    }
}

impl Deref for Yard {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

/// A depot in a process of its own, and its address.
pub(crate) fn serve(house: &House, setup: &str) -> (Program, String) {
    let program = Program::run(command(house, "depot", setup));
    let address = program.line("serving");
    (program, address)
}

/// A depot in a process of another user.
pub(crate) fn depot_as(uid: u32, house: &House, setup: &str) -> Program {
    let program = Program::run(command_as(uid, house, "depot", setup));
    program.line("serving");
    program
}

/// A depot in a process of its own.
pub(crate) fn depot(house: &House, setup: &str) -> Program {
    serve(house, setup).0
}

/// A client of `address` in this process.
pub(crate) fn client(house: &House, address: &str, setup: &str) -> Client {
    let _inside = house.runtime().enter();
    DepotClient::new(Setup::new(setup, house.dir()).channel(address))
}

/// A reference to contents in the pool of this process.
pub(crate) fn reference(seed: u64, bytes: usize) -> Ref {
    let mut buffer = Pool::process().alloc(bytes).expect("room");
    buffer.copy_from_slice(&contents(seed, bytes));
    buffer.share()
}

/// How many descriptors a process has of memory that is passed, for reading only.
pub(crate) fn descriptors(pid: u32) -> usize {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let numbers = listed.filter_map(|entry| Some(entry.ok()?.file_name()));
    let is_held = |number: &std::ffi::OsString| {
        let number = number.to_string_lossy();
        let is_passed = std::fs::read_link(format!("/proc/{pid}/fd/{number}"))
            .is_ok_and(|link| link.to_string_lossy().starts_with("/memfd:nowire-ref"));
        is_passed && is_read_only(pid, &number)
    };
    numbers.filter(is_held).count()
}

fn is_read_only(pid: u32, number: &str) -> bool {
    let told = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
    let flags = told.ok().and_then(|told| {
        let flags = told.lines().find_map(|line| line.strip_prefix("flags:"))?;
        u32::from_str_radix(flags.trim(), 8).ok()
    });
    flags.is_some_and(|flags| flags & 3 == 0)
}

/// How many mappings a process has of memory that is passed, for reading only. Some
/// may stay, without holding anything, until the connection ends they came over.
pub(crate) fn mappings(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let passed = maps
        .lines()
        .filter(|line| line.contains("/memfd:nowire-ref"));
    passed.filter(|line| line.contains(" r--")).count()
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a process has nothing of the references of others.
pub(crate) fn assert_lets_go(program: &Program) {
    assert_held(program.pid(), 0);
}

/// Waits until this process has nothing of the references of others.
pub(crate) fn assert_nothing_held_here() {
    assert_held(std::process::id(), 0);
}

/// Waits until this process has as little as this of the references of others.
pub(crate) fn assert_nothing_held_here_but(expected: usize) {
    assert_held(std::process::id(), expected);
}

fn assert_held(pid: u32, expected: usize) {
    wait_until(&format!("{pid} holds {expected} references"), || {
        descriptors(pid) == expected
    });
}

/// Waits until a process has nothing mapped of the references of others, as is so when
/// its connections are over.
pub(crate) fn assert_maps_nothing(pid: u32) {
    wait_until(&format!("{pid} has nothing mapped"), || mappings(pid) == 0);
}

/// Waits until nobody but this process's own table of what is in use names memory
/// of its pool: `live` segments.
pub(crate) fn assert_live(live: usize) {
    let pool = Pool::process();
    let deadline = Instant::now() + PATIENCE;
    loop {
        pool.reclaim();
        let usage = pool.usage();
        if usage.segments == live {
            return;
        }
        assert!(Instant::now() < deadline, "{usage:?}, not {live} segments");
        std::thread::sleep(Duration::from_millis(2));
    }
}
