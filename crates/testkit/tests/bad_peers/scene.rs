//! What the tests share.

use std::path::Path;
use std::time::{Duration, Instant};

use nowire_grpc::Channel;
use nowire_interop::proto::testing::StreamingOutputCallRequest;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::{Deed, House, Lie, Moment, Program, Vitals, warnings};
use tonic::{Code, Status};

/// How long the honest side may take to notice, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const HONEST: &str = "nowire:honest";
pub(crate) const LIAR: &str = "nowire:liar";

/// Starts a hostile process.
pub(crate) fn hostile<'a>(
    side: &'a str,
    address: &'a str,
    dir: &'a Path,
    more: &[&'a str],
) -> Program {
    let dir = dir.to_str().expect("a readable path");
    let mut arguments = vec![side, "--address", address, "--runtime-dir", dir];
    arguments.extend(more);
    let program = Program::start(env!("CARGO_BIN_EXE_nowire-hostile"), arguments);
    program.line("ready");
    program
}

/// Starts a hostile process that does a deed on so many connections.
pub(crate) fn doer(side: &str, address: &str, house: &House, deed: Deed, rounds: u32) -> Program {
    let rounds = rounds.to_string();
    let more = ["--deed", deed.name(), "--rounds", &rounds];
    hostile(side, address, house.dir(), &more)
}

fn liar(side: &str, address: &str, house: &House, lie: &Lie, moment: Moment) -> Program {
    let moment = match moment {
        Moment::AtOnce => "at-once",
        Moment::MidCall => "mid-call",
    };
    let more = ["--lie", lie.name, "--moment", moment];
    hostile(side, address, house.dir(), &more)
}

fn assert_noticed(lie: &Lie, pid: u32) {
    assert_said(lie.noticed_as, pid);
}

/// An honest side that knows the liar by its process warns of what it did.
pub(crate) fn assert_said(noticed_as: &str, pid: u32) {
    let who = format!("(pid {pid},");
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let said: Vec<String> = warnings(&who)
            .into_iter()
            .filter(|warning| warning.contains("misbehaved and was cut off"))
            .collect();
        if !said.is_empty() || Instant::now() >= deadline {
            break said;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(said.len(), 1, "warned once, of one connection: {said:?}");
    assert!(said[0].contains(noticed_as), "{}", said[0]);
}

/// A hostile client lies to an honest server.
pub(crate) fn client_lies(lie: &str, moment: Moment) {
    let lie = Lie::named(lie).expect("a lie");
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    steady.assert_served();
    let liar = liar("client", HONEST, &house, lie, moment);
    liar.line("cut off");
    assert_noticed(lie, liar.pid());
    steady.assert_served();
    house.assert_no_panic();
}

/// A hostile server lies to an honest client.
pub(crate) fn server_lies(lie: &str, moment: Moment) {
    let lie = Lie::named(lie).expect("a lie");
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    steady.assert_served();
    let liar = liar("server", LIAR, &house, lie, moment);
    let status = fail_with(&house, house.channel(LIAR));
    if moment == Moment::MidCall {
        let text = status.message();
        assert!(text.contains("misbehaved and was cut off"), "{text}");
        assert!(text.contains(&format!("(pid {},", liar.pid())), "{text}");
        assert!(text.contains(lie.noticed_as), "{text}");
    }
    liar.line("cut off");
    assert_noticed(lie, liar.pid());
    steady.assert_served();
    house.assert_no_panic();
}

/// The status with which a call that stays open fails: UNAVAILABLE.
fn fail_with(house: &House, channel: Channel) -> Status {
    let status = house.runtime().block_on(async {
        tokio::time::timeout(PATIENCE, open_call(channel))
            .await
            .expect("the call does not hang")
    });
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    status
}

/// Calls with a request stream that stays open, until the call fails.
async fn open_call(channel: Channel) -> Status {
    let (requests, stream) = tokio::sync::mpsc::channel(1);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let _ = requests.send(StreamingOutputCallRequest::default()).await;
    let mut client = TestServiceClient::new(channel);
    let mut answers = match client.full_duplex_call(stream).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status,
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the call ended well"),
            Err(status) => return status,
        }
    }
}

/// An honest server in a process of its own, to be looked at.
pub(crate) struct Subject {
    pub(crate) program: Program,
    address: String,
}

impl Subject {
    /// Serves at `address` with so large a window for each stream.
    pub(crate) fn serve(house: &House, address: &str, window_bytes: u32) -> Self {
        let dir = house.dir().to_str().expect("a readable path");
        let window = window_bytes.to_string();
        let arguments = [
            "--runtime-dir",
            dir,
            "--window-bytes",
            &window,
            "serve",
            address,
        ];
        let program = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
        let address = program.line("serving");
        Self { program, address }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the process is back at what it had, up to `PATIENCE`.
    pub(crate) fn assert_back_at(&self, before: Vitals) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.program.vitals();
            let back = now.descriptors <= before.descriptors
                && now.shared_mappings <= before.shared_mappings;
            if back {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?} where it was {before:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its memory is not more than `limit_bytes` above what it was.
    pub(crate) fn assert_grown_less(&self, before: Vitals, limit_bytes: u64) {
        let now = self.program.vitals();
        let grown = now.private_bytes.saturating_sub(before.private_bytes);
        assert!(grown < limit_bytes, "grown by {grown} bytes");
    }

    /// It has not panicked.
    pub(crate) fn assert_no_panic(&mut self) {
        assert_eq!(self.program.ask("panics"), "0");
    }
}
