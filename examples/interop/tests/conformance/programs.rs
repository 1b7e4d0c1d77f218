//! The two programs, as their users run them.

use std::process::{Command, Output};

use crate::process::{Listen, ServerProcess};

fn client(server: &ServerProcess, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interop-client"))
        .args(arguments)
        .env("NOWIRE_RUNTIME_DIR", server.runtime_dir())
        .env_remove("NOWIRE")
        .output()
        .expect("interop-client starts")
}

fn address(server: &ServerProcess) -> String {
    format!("--address={}", server.address())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("programs write UTF-8")
}

#[test]
fn each_case_gives_a_line_with_its_carrier() {
    let server = ServerProcess::start(Listen::Tcp);
    let address = address(&server);
    let cases = "--test_case=empty_unary,ping_pong";
    for (carrier, name) in [
        ("prefer", "memory"),
        ("require", "memory"),
        ("never", "http2"),
    ] {
        let output = client(&server, &[&address, cases, &format!("--carrier={carrier}")]);
        let expected = format!("PASS empty_unary over {name}\nPASS ping_pong over {name}\n");
        assert_eq!(text(&output.stdout), expected, "{carrier}");
        assert!(output.status.success(), "{carrier}");
    }
}

#[test]
fn the_official_flags_find_the_server() {
    let server = ServerProcess::start(Listen::Tcp);
    let port = server.address().rsplit_once(':').expect("host:port").1;
    let port = format!("--server_port={port}");
    let host = "--server_host=127.0.0.1";
    let soak = [
        "--test_case=rpc_soak",
        "--soak_iterations=3",
        "--soak_max_failures=0",
        "--soak_per_iteration_max_acceptable_latency_ms=60000",
        "--soak_overall_timeout_seconds=60",
        "--soak_min_time_ms_between_rpcs=1",
        "--soak_request_size=10",
        "--soak_response_size=20",
        "--soak_num_threads=2",
    ];
    let ignored = [
        "--use_tls=false",
        "--use_test_ca=true",
        "--oauth_scope=none",
    ];
    let arguments = [&[host, &port][..], &soak, &ignored].concat();
    let output = client(&server, &arguments);
    assert!(
        text(&output.stdout).contains("3 calls, 0 failed"),
        "{output:?}"
    );
    let notes = text(&output.stderr);
    assert!(
        notes.contains("--oauth_scope is accepted and not used"),
        "{notes}"
    );
    assert!(output.status.success());
}

#[test]
fn a_failed_case_is_told_and_fails_the_program() {
    let server = ServerProcess::start(Listen::Tcp);
    let impossible = [
        "--test_case=empty_unary,rpc_soak,ping_pong",
        "--soak_per_iteration_max_acceptable_latency_ms=0",
        "--soak_overall_timeout_seconds=60",
    ];
    let output = client(&server, &[&[&*address(&server)][..], &impossible].concat());
    let told = text(&output.stdout);
    assert!(told.contains("PASS empty_unary"), "{told}");
    assert!(
        told.contains("FAIL rpc_soak over memory: soak: 10 of 10 calls failed"),
        "{told}"
    );
    assert!(told.contains("PASS ping_pong"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let server = ServerProcess::start(Listen::Tcp);
    let address = address(&server);
    for (flag, reason) in [
        ("--use_tls=true", "this client has no TLS"),
        (
            "--test_case=no_such_case",
            "no case is called \"no_such_case\"",
        ),
    ] {
        let output = client(&server, &[&address, flag]);
        let told = text(&output.stderr);
        assert!(told.contains(reason), "{told}");
        assert_eq!(output.status.code(), Some(1), "{flag}");
    }
    let nobody = client(
        &server,
        &["--address=nowire:nobody", "--test_case=empty_unary"],
    );
    let told = text(&nobody.stderr);
    assert!(
        told.contains("error: ") && told.contains("nobody"),
        "{told}"
    );
    assert_eq!(nobody.status.code(), Some(1));
}
