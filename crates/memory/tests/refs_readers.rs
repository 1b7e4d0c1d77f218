//! Readers that are processes of their own, to which the same memory comes again and
//! again: what keeps it from its owner, and what does not.

mod passing;

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Extent, Ref, Source, View};
use nowire_memory::socket;
use passing::{Way, eventually, filled, inode, is_used_again, own_uid, pool};
use rustix::fd::OwnedFd;

const LEN: usize = 64 << 10;

const CHILD: &str = "NOWIRE_REFS_READER";

/// What the reader is told to do with the next descriptor.
const READ: &str = "read";
const KEEP_REF: &str = "keep-ref";
const KEEP_VIEW: &str = "keep-view";
/// And with what it kept.
const CHECK: &str = "check";
const DROP: &str = "drop";
/// And with its connection.
const END: &str = "end";

/// All bytes are this one, if they are alike.
fn common(bytes: &[u8]) -> Option<u8> {
    let first = *bytes.first()?;
    bytes.iter().all(|&byte| byte == first).then_some(first)
}

/// Waits for a descriptor.
fn next_descriptor(connection: &OwnedFd) -> OwnedFd {
    eventually(|| {
        let mut byte = [0];
        let received = socket::recv_with_descriptors(connection.as_fd(), &mut byte, 1);
        received.ok()?.descriptors.pop()
    })
}

/// The other process: does what it is told, and answers with the bytes it sees.
fn serve(path: &str) {
    let connection = socket::connect(path.as_ref()).expect("the parent listens");
    let extent = Extent {
        descriptor: 0,
        offset_bytes: 0,
        bytes: LEN as u64,
        segment_bytes: LEN as u64,
        whole: true,
    };
    let mut source = None;
    let mut kept: Vec<Ref> = Vec::new();
    let mut views: Vec<View> = Vec::new();
    println!("\nready");
    for command in std::io::stdin().lines().map_while(Result::ok) {
        let answer = match command.as_str() {
            CHECK => {
                let held = kept.iter().map(|held| held.map().expect("a view"));
                let held: Vec<_> = held.chain(views.iter().cloned()).collect();
                let seen: Vec<_> = held.iter().map(|view| common(view)).collect();
                format!("{seen:?}")
            }
            DROP => {
                kept.clear();
                views.clear();
                String::new()
            }
            END => {
                source = None;
                String::new()
            }
            taken => {
                let source = source.get_or_insert_with(|| {
                    Source::new(1, own_uid(), Keeping::Trust, 64, "the parent")
                });
                let descriptors = [Some(next_descriptor(&connection))];
                let arrived = Ref::arrived(&[extent], descriptors, source).expect("a ref");
                let view = arrived.map().expect("a view");
                let seen = common(&view);
                match taken {
                    KEEP_REF => kept.push(arrived),
                    KEEP_VIEW => views.push(view),
                    _ => {}
                }
                format!("{seen:?}")
            }
        };
        println!("{answer}");
    }
}

#[test]
fn child_process() {
    if let Ok(path) = std::env::var(CHILD) {
        serve(&path);
    }
}

struct Reader {
    child: Child,
    connection: OwnedFd,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    fn start() -> Self {
        let this = std::env::current_exe().expect("this program");
        Self::start_as(&this, own_uid())
    }

    /// A copy of this program, run by `uid`.
    fn start_as(program: &Path, uid: u32) -> Self {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("nowire-reader-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = socket::bind(&path).expect("a socket");
        socket::listen(listener.as_fd(), 1).expect("a socket");
        if uid != own_uid() {
            let owner = rustix::fs::Uid::from_raw(uid);
            rustix::fs::chown(&path, Some(owner), None).expect("root may");
        }
        let mut child = Command::new(program)
            .args(["--exact", "child_process", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .uid(uid)
            .spawn()
            .expect("a child process");
        let commands = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let mut answers = BufReader::new(output).lines();
        let ready =
            |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line == "ready");
        assert!(answers.any(|line| ready(&line)), "it never came up");
        let connection = socket::accept(listener.as_fd()).expect("it has connected");
        std::fs::remove_file(path).expect("the socket");
        Self {
            child,
            connection,
            commands,
            answers,
        }
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("it listens");
        self.answers.next().expect("an answer").expect("an answer")
    }

    /// Passes what is all `byte`, and sees that the reader sees it.
    fn pass(&mut self, way: &Way, whole: &Ref, byte: u8, command: &str) {
        let parcel = way.parcel(whole);
        let descriptor = parcel.descriptors[0].as_fd();
        socket::hand_over(self.connection.as_fd(), descriptor).expect("room");
        drop(parcel);
        assert_eq!(self.ask(command), format!("{:?}", Some(byte)));
    }

    /// How many segments it has mapped.
    fn mappings(&self) -> usize {
        let maps = format!("/proc/{}/maps", self.child.id());
        let maps = std::fs::read_to_string(maps).expect("it lives");
        let is_ref = |line: &&str| line.contains("memfd:nowire-ref");
        maps.lines().filter(is_ref).count()
    }

    fn kill(&mut self) {
        self.child.kill().expect("kill a child");
        self.child.wait().expect("its end");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Passes one segment until each reader has it mapped; tells where it lies.
fn make_familiar(way: &Way, readers: &mut [&mut Reader]) -> usize {
    let (first, place) = filled(&way.pool, LEN, 1);
    for reader in &mut *readers {
        reader.pass(way, &first, 1, READ);
    }
    drop(first);
    eventually(|| is_used_again(&way.pool, LEN, place).then_some(()));
    for byte in 2..10 {
        let (next, there) = filled(&way.pool, LEN, byte);
        assert_eq!(there, place, "it is used again although it is mapped");
        for reader in &mut *readers {
            reader.pass(way, &next, byte, READ);
            assert_eq!(reader.mappings(), 1);
        }
        drop(next);
        eventually(|| is_used_again(&way.pool, LEN, place).then_some(()));
    }
    place
}

#[test]
fn a_reader_keeps_memory_by_what_it_holds_and_not_by_what_it_has_mapped() {
    for keep in [KEEP_REF, KEEP_VIEW] {
        let pool = pool();
        let way = Way::new(&pool);
        let mut reader = Reader::start();
        let place = make_familiar(&way, &mut [&mut reader]);
        let (kept, there) = filled(&pool, LEN, 99);
        assert_eq!(there, place);
        reader.pass(&way, &kept, 99, keep);
        drop(kept);
        for _ in 0..10 {
            assert!(!is_used_again(&pool, LEN, place), "{keep}");
        }
        assert_eq!(reader.ask(CHECK), "[Some(99)]");
        assert_eq!(pool.usage().waiting_bytes, LEN);
        reader.ask(DROP);
        assert_eq!(reader.mappings(), 1);
        eventually(|| is_used_again(&pool, LEN, place).then_some(()));
        reader.ask(END);
        assert_eq!(reader.mappings(), 0, "{keep}: the connection is over");
    }
}

#[test]
fn one_of_several_readers_keeps_the_memory_of_all() {
    let pool = pool();
    let way = Way::new(&pool);
    let (mut first, mut second) = (Reader::start(), Reader::start());
    let place = make_familiar(&way, &mut [&mut first, &mut second]);
    let (kept, _) = filled(&pool, LEN, 50);
    first.pass(&way, &kept, 50, KEEP_VIEW);
    second.pass(&way, &kept, 50, KEEP_REF);
    second.pass(&way, &kept, 50, READ);
    drop(kept);
    assert!(!is_used_again(&pool, LEN, place));
    first.ask(DROP);
    assert!(!is_used_again(&pool, LEN, place));
    assert_eq!(second.ask(CHECK), "[Some(50)]");
    second.ask(DROP);
    eventually(|| is_used_again(&pool, LEN, place).then_some(()));
}

#[test]
fn a_killed_reader_keeps_nothing() {
    for keep in [READ, KEEP_REF, KEEP_VIEW] {
        let pool = pool();
        let way = Way::new(&pool);
        let mut reader = Reader::start();
        let place = make_familiar(&way, &mut [&mut reader]);
        let (kept, _) = filled(&pool, LEN, 7);
        reader.pass(&way, &kept, 7, keep);
        // On its way to it, too.
        let parcel = way.parcel(&kept);
        let descriptor = parcel.descriptors[0].as_fd();
        socket::hand_over(reader.connection.as_fd(), descriptor).expect("room");
        drop((parcel, kept));
        assert!(!is_used_again(&pool, LEN, place), "{keep}");
        reader.kill();
        eventually(|| is_used_again(&pool, LEN, place).then_some(()));
        assert_eq!(pool.usage().waiting_bytes, 0, "{keep}");
    }
}

#[test]
fn what_a_reader_has_of_a_killed_owner_stays_good_and_goes_with_the_connection() {
    // This process owns nothing here: the owner is a pool that is dropped, which is all
    // that the kernel sees of a death.
    let pool = pool();
    let way = Way::new(&pool);
    let mut reader = Reader::start();
    make_familiar(&way, &mut [&mut reader]);
    let (kept, _) = filled(&pool, LEN, 33);
    reader.pass(&way, &kept, 33, KEEP_VIEW);
    drop((kept, way, pool));
    assert_eq!(reader.ask(CHECK), "[Some(33)]");
    reader.ask(DROP);
    assert_eq!(reader.mappings(), 1);
    reader.ask(END);
    assert_eq!(reader.mappings(), 0);
}

#[test]
fn a_reader_of_another_user_keeps_nothing_mapped_and_its_memory_is_used_once() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to run a program as another user");
        return;
    }
    let program = std::env::temp_dir().join(format!("nowire-stranger-{}", std::process::id()));
    // Not copied by this process: a child that another test starts meanwhile would hold
    // the file open for writing, and then it cannot be run.
    let this = std::env::current_exe().expect("this program");
    let copied = Command::new("cp").arg(this).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "room");
    let pool = pool();
    let way = Way::with(&pool, NOBODY, Keeping::Copy, u32::MAX);
    let mut reader = Reader::start_as(&program, NOBODY);
    std::fs::remove_file(&program).expect("the copy");
    let mut files = Vec::new();
    for byte in 1..10 {
        let (whole, _) = filled(&pool, LEN, byte);
        files.push(inode(&way.parcel(&whole).descriptors[0]));
        // It comes again, but as the same ref.
        for _ in 0..3 {
            reader.pass(&way, &whole, byte, READ);
            assert_eq!(reader.mappings(), 0);
        }
    }
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), 9, "each in memory of its own");
    drop(reader);
    eventually(|| {
        pool.reclaim();
        (pool.usage().live_bytes == 0).then_some(())
    });
}
