//! The example as its reader runs it.

use nowire_testkit::ExampleServer;

#[test]
fn the_greeting_travels_through_shared_memory() {
    let server = ExampleServer::start(env!("CARGO_BIN_EXE_hello-server"), &[]);
    let output = server.ask(env!("CARGO_BIN_EXE_hello-client"), None, "memory");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("Hello, world!"), "{said}");
}
