//! Servers and clients of several processes, users and network namespaces.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Runtime, is_root, parse};
use nowire::{ConnectError, ConnectOptions, ListenError, ListenOptions, Listener, Trust, meet};

const ROLE: &str = "NOWIRE_TEST_ROLE";
const ADDRESS: &str = "NOWIRE_TEST_ADDRESS";
const RUNTIME: &str = "NOWIRE_TEST_RUNTIME";
const TRUSTED: &str = "NOWIRE_TEST_TRUSTED_UID";
/// A user that owns nothing.
const NOBODY: u32 = 65_534;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn trust() -> Trust {
    Trust {
        uids: variable(TRUSTED).parse().into_iter().collect(),
        gids: Vec::new(),
    }
}

/// Not a test: what this program does when a test starts it once more.
#[tokio::test]
async fn child_process() {
    let runtime = PathBuf::from(variable(RUNTIME));
    let runtime_dir = Some(runtime.clone());
    let addresses: Vec<_> = variable(ADDRESS).split_whitespace().map(parse).collect();
    match variable(ROLE).as_str() {
        "serve" => {
            let options = ListenOptions {
                runtime_dir,
                allowed: trust(),
                ..Default::default()
            };
            let listener = Listener::bind(&addresses, options).expect("free addresses");
            println!("\nlistening");
            let accepting = async {
                let mut taken = Vec::new();
                loop {
                    taken.push(listener.accept().await.expect("the listener is well"));
                }
            };
            let end = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
            tokio::select! {
                () = accepting => {}
                _ = end => {}
            }
        }
        "connect" => {
            let options = ConnectOptions {
                runtime_dir,
                trusted: trust(),
                timeout: Duration::from_secs(20),
                ..Default::default()
            };
            let outcome = match meet(&addresses[0], options).await {
                Ok(met) => format!("connected {}", met.peer),
                Err(error) => format!("{error:?}"),
            };
            println!("\noutcome {outcome}");
        }
        "race" => {
            race(&addresses[0], &runtime, 40).await;
            println!("\noutcome raced");
        }
        _ => {}
    }
}

/// Binds and unbinds `times` times, and checks each time to be the only one.
async fn race(address: &nowire::Address, runtime: &Path, times: u32) {
    let sign = runtime.join("sign");
    let mut bound = 0;
    for _ in 0..20_000 {
        if bound == times {
            return;
        }
        let options = ListenOptions {
            runtime_dir: Some(runtime.into()),
            ..Default::default()
        };
        match Listener::bind(std::slice::from_ref(address), options) {
            Ok(listener) => {
                std::fs::File::create_new(&sign).expect("nobody else is bound");
                let options = ConnectOptions {
                    runtime_dir: Some(runtime.into()),
                    ..Default::default()
                };
                let met = async { tokio::join!(meet(address, options), listener.accept()) };
                // Without a limit, a client led to another server would hang this one.
                let met = tokio::time::timeout(Duration::from_secs(20), met).await;
                let (client, server) = met.expect("the client comes here");
                assert_eq!(client.expect("connected").peer.pid, std::process::id());
                drop(server);
                bound += 1;
                std::fs::remove_file(&sign).expect("put there above");
            }
            Err(ListenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("bound {bound} times only");
}

struct Role {
    command: Command,
}

impl Role {
    fn new(role: &str, address: &str, runtime: &Path) -> Self {
        Self::run_by(
            Command::new(std::env::current_exe().expect("this program")),
            role,
            address,
            runtime,
        )
    }

    fn run_by(mut command: Command, role: &str, address: &str, runtime: &Path) -> Self {
        command
            .args(["--exact", "child_process", "--nocapture"])
            .env(ROLE, role)
            .env(ADDRESS, address)
            .env(RUNTIME, runtime)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self { command }
    }

    fn trusting(mut self, uid: u32) -> Self {
        self.command.env(TRUSTED, uid.to_string());
        self
    }

    fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("a child process");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Running { child, output }
    }

    /// Starts a server and waits until it listens.
    fn listening(self) -> Running {
        let mut running = self.start();
        running.line("listening");
        running
    }

    fn outcome(self) -> String {
        self.start().line("outcome ")
    }
}

struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// The rest of the first line that begins with `prefix`.
    fn line(&mut self, prefix: &str) -> String {
        loop {
            let mut line = String::new();
            let bytes = self.output.read_line(&mut line).expect("readable output");
            assert!(
                bytes > 0,
                "the child ended before it said {prefix:?}: see its output"
            );
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_killed_server_is_stale_until_the_next_one_begins() {
    let runtime = Runtime::new();
    let mut server = Role::new("serve", "nowire:mortal", runtime.path()).listening();
    let met = runtime.meet("nowire:mortal").await.expect("connected");
    assert_eq!(met.peer.pid, server.child.id());
    server.kill();
    assert_eq!(
        runtime.files(),
        ["name-mortal.lock", "name-mortal.sock"],
        "as a dead server leaves it"
    );
    let error = runtime
        .meet("nowire:mortal")
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Stale { .. }), "{error:?}");
    let next = Role::new("serve", "nowire:mortal", runtime.path()).listening();
    let met = runtime.meet("nowire:mortal").await.expect("connected");
    assert_eq!(met.peer.pid, next.child.id());
}

#[tokio::test]
async fn what_a_killed_server_left_is_removed_by_any_other() {
    let runtime = Runtime::new();
    let addresses = "nowire:mortal 127.0.0.1:50051";
    let mut server = Role::new("serve", addresses, runtime.path()).listening();
    let living = Role::new("serve", "nowire:living", runtime.path()).listening();
    server.kill();
    let files = |name: &str| [format!("name-{name}.lock"), format!("name-{name}.sock")];
    let other = runtime.listen("nowire:other");
    assert_eq!(runtime.files(), [files("living"), files("other")].concat());
    drop(other);
    let met = runtime
        .meet("nowire:living")
        .await
        .expect("a living server keeps its place");
    assert_eq!(met.peer.pid, living.child.id());
}

#[test]
fn of_many_servers_that_race_one_at_a_time_is_bound() {
    let runtime = Runtime::new();
    let racers: Vec<_> = (0..4)
        .map(|_| Role::new("race", "nowire:race", runtime.path()).start())
        .collect();
    for mut racer in racers {
        assert_eq!(racer.line("outcome "), "raced");
    }
    assert!(runtime.files().is_empty(), "{:?}", runtime.files());
}

#[test]
fn servers_killed_while_they_begin_never_block_the_next() {
    let runtime = Runtime::new();
    for _ in 0..20 {
        let mut racer = Role::new("race", "nowire:race", runtime.path()).start();
        // Until it is in the middle of its rounds, or done.
        while !runtime.path().join("name-race.lock").exists()
            && racer.child.try_wait().expect("it is ours").is_none()
        {
            std::thread::yield_now();
        }
        racer.kill();
        // It may have been killed while it held the sign.
        let _ = std::fs::remove_file(runtime.path().join("sign"));
    }
    let mut last = Role::new("serve", "nowire:race", runtime.path()).listening();
    assert_eq!(runtime.files(), ["name-race.lock", "name-race.sock"]);
    last.kill();
}

/// This program, where every user can run it.
fn public_copy(runtime: &Runtime) -> Command {
    let exe = runtime.path().join("program");
    if !exe.exists() {
        // Not copied by this process: a child that another test starts meanwhile
        // would hold the file open for writing, and then it cannot be run.
        let program = std::env::current_exe().expect("this program");
        let copied = Command::new("cp").arg(program).arg(&exe).status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "room for a copy"
        );
    }
    let mut command = Command::new(exe);
    command.uid(NOBODY).gid(NOBODY);
    command
}

fn other_user(role: &str, address: &str, runtime: &Runtime) -> Role {
    Role::run_by(public_copy(runtime), role, address, runtime.path())
}

#[tokio::test]
async fn another_user_is_refused_unless_allowed_by_both_sides() {
    if !is_root() {
        return;
    }
    let runtime = Runtime::new();
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(runtime.path(), open).expect("the directory is ours");

    let closed = Role::new("serve", "nowire:closed", runtime.path()).listening();
    let outcome = other_user("connect", "nowire:closed", &runtime)
        .trusting(0)
        .outcome();
    assert!(outcome.starts_with("NoAccess"), "{outcome}");
    drop(closed);

    let _other = Role::new("serve", "nowire:other", runtime.path())
        .trusting(4711)
        .listening();
    let outcome = other_user("connect", "nowire:other", &runtime)
        .trusting(0)
        .outcome();
    assert!(
        outcome.starts_with("Refused") && outcome.contains("NotAllowed"),
        "{outcome}"
    );

    let _open = Role::new("serve", "nowire:open", runtime.path())
        .trusting(NOBODY)
        .listening();
    let outcome = other_user("connect", "nowire:open", &runtime).outcome();
    assert!(outcome.starts_with("NotTrusted"), "{outcome}");
    let outcome = other_user("connect", "nowire:open", &runtime)
        .trusting(0)
        .outcome();
    assert!(outcome.starts_with("connected nowire:open"), "{outcome}");

    // The other way round: a server of somebody else that claims an address.
    let _impostor = other_user("serve", "127.0.0.1:50051", &runtime)
        .trusting(0)
        .listening();
    match runtime.meet("127.0.0.1:50051").await {
        Err(ConnectError::NotTrusted { peer, own_uid: 0 }) => assert_eq!(peer.uid, NOBODY),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn groups_are_allowed_as_users_are() {
    if !is_root() {
        return;
    }
    let runtime = Runtime::new();
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(runtime.path(), open).expect("the directory is ours");
    for (address, gids, expected) in [
        ("nowire:in", vec![1, NOBODY], "connected"),
        ("nowire:out", vec![1], "Refused"),
    ] {
        let options = ListenOptions {
            allowed: Trust {
                uids: Vec::new(),
                gids,
            },
            ..runtime.listen_options()
        };
        let listener = Listener::bind(&[parse(address)], options).expect("a free name");
        let accepting = tokio::spawn(async move { listener.accept().await });
        let client = other_user("connect", address, &runtime).trusting(0);
        let outcome = tokio::task::spawn_blocking(|| client.outcome())
            .await
            .expect("no panic");
        assert!(outcome.starts_with(expected), "{outcome}");
        accepting.abort();
    }
}

/// A network namespace of its own with one address, if the machine can.
fn own_network(address: &str, role: &str, target: &str, runtime: &Runtime) -> Role {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c"]);
    command.arg(format!(
        "ip link set lo up && ip addr add {address}/32 dev lo && exec \"$0\" \"$@\""
    ));
    command.arg(std::env::current_exe().expect("this program"));
    Role::run_by(command, role, target, runtime.path())
}

fn can_make_networks() -> bool {
    let tried = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .output();
    let can = tried.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: needs root, unshare and ip, but: {tried:?}");
    }
    can
}

#[tokio::test]
async fn an_address_of_another_network_is_not_taken_for_an_own_one() {
    if !can_make_networks() {
        return;
    }
    let runtime = Runtime::new();
    let (here, there) = ("198.51.100.7", "198.51.100.8");
    let served = format!("127.0.0.1:50051 0.0.0.0:50052 {here}:50053 nowire:anywhere");
    let _server = own_network(here, "serve", &served, &runtime).listening();

    // From the outside, by an address that leads there and by name.
    for address in ["198.51.100.7:50053", "nowire:anywhere"] {
        runtime.meet(address).await.expect(address);
    }
    // Loopback and wildcard mean something else here.
    for address in ["127.0.0.1:50051", "127.0.0.1:50052", "198.51.100.7:50052"] {
        let error = runtime.meet(address).await.expect_err(address);
        assert!(
            matches!(error, ConnectError::NotAnnounced { .. }),
            "{error:?}"
        );
    }
    // From a network in which the address is somebody else's.
    let target = format!("{here}:50053");
    let outcome = own_network(here, "connect", &target, &runtime).outcome();
    assert!(outcome.starts_with("NotAnnounced"), "{outcome}");
    let outcome = own_network(there, "connect", &target, &runtime).outcome();
    assert!(outcome.starts_with("connected"), "{outcome}");
}

#[tokio::test]
async fn two_networks_with_one_address_are_told_apart_by_neither_being_taken() {
    if !can_make_networks() {
        return;
    }
    let runtime = Runtime::new();
    let address = "198.51.100.7";
    let target = format!("{address}:50051");
    let mut first = own_network(address, "serve", &target, &runtime).listening();
    let second = own_network(address, "serve", &target, &runtime).listening();
    let error = runtime.meet(&target).await.expect_err("which of them?");
    assert!(
        matches!(error, ConnectError::Ambiguous { count: 2, .. }),
        "{error:?}"
    );
    first.kill();
    let met = runtime.meet(&target).await.expect("only one is left");
    assert_eq!(met.peer.pid, second.child.id());
}
