//! The example as its reader runs it.

use nowire_testkit::ExampleServer;

const SERVER: &str = env!("CARGO_BIN_EXE_fallback-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_fallback-client");

#[test]
fn a_nowire_server_is_called_by_shared_memory() {
    let server = ExampleServer::start(SERVER, &[]);
    let output = server.ask(CLIENT, None, "memory");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("seconds since 1970"), "{said}");
}

#[test]
fn switched_off_it_is_called_by_http2_and_the_reason_is_told() {
    let server = ExampleServer::start(SERVER, &[]);
    let output = server.ask(CLIENT, Some("off"), "http2");
    let reason = String::from_utf8_lossy(&output.stderr);
    assert!(reason.contains("NOWIRE"), "{reason}");
}

#[test]
fn a_plain_server_is_called_by_http2_and_the_reason_is_told() {
    let server = ExampleServer::start(SERVER, &["--plain"]);
    let output = server.ask(CLIENT, None, "http2");
    let reason = String::from_utf8_lossy(&output.stderr);
    assert!(reason.contains("reason="), "{reason}");
}
