//! A carrier that alters an answer is found out.

use nowire_control::demo::digest::Digest;
use nowire_control::demo::kind::Kind;
use nowire_control::demo::message::{Findings, Measurement};
use nowire_control::demo::transport::Carrier;
use nowire_control::demo::verdict::require_equal_answers;

fn digest(messages: &[&str]) -> Digest {
    let mut digest = Digest::default();
    digest.add(
        7,
        messages.iter().map(|message| message.as_bytes().to_vec()),
    );
    digest
}

fn findings(over_nowire: Digest) -> Findings {
    let right = digest(&["Oslo", "Bergen"]);
    let over = |carrier, answers| Measurement {
        kind: Kind::ServerStream,
        carrier,
        calls: 1,
        p50_ns: 1,
        p99_ns: 1,
        calls_per_s: 1.0,
        answers,
    };
    Findings {
        reference: vec![(Kind::ServerStream, right)],
        measurements: vec![
            over(Carrier::Tcp, right),
            over(Carrier::Nowire, over_nowire),
        ],
    }
}

#[test]
fn equal_answers_pass() {
    let findings = findings(digest(&["Oslo", "Bergen"]));
    assert_eq!(require_equal_answers(&findings), Ok(()));
}

#[test]
fn altered_lost_moved_and_cut_answers_are_blamed_on_their_carrier() {
    for wrong in [
        &["Oslo", "bergen"][..],
        &["Oslo"],
        &["Bergen", "Oslo"],
        &["OsloBergen", ""],
        &[],
    ] {
        let verdict = require_equal_answers(&findings(digest(wrong))).unwrap_err();
        assert_eq!(verdict.carrier, Carrier::Nowire, "{wrong:?}");
        assert_eq!(verdict.kind, Kind::ServerStream);
    }
}

#[test]
fn the_order_in_which_calls_finish_does_not_matter() {
    let one = |index, message: &str| (index, vec![message.as_bytes().to_vec()]);
    let mut forth = Digest::default();
    let mut back = Digest::default();
    let calls = [one(0, "Oslo"), one(1, "Bergen"), one(2, "Oslo")];
    for (index, answer) in calls.clone() {
        forth.add(index, answer);
    }
    for (index, answer) in calls.into_iter().rev() {
        back.add(index, answer);
    }
    assert_eq!(forth, back);
}
