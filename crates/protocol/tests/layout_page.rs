//! `docs/layout.md` says what the code does.
//!
//! Each table of the page is made here from constants of the code and from bytes
//! that the code has written, and compared with what stands between its markers.
//! `UPDATE_LAYOUT=1` rewrites the page.
#![forbid(unsafe_code)]
// A model has a layout of its own.
#![cfg(not(loom))]

#[path = "layout_page/announcement.rs"]
mod announcement;
#[path = "layout_page/extent.rs"]
mod extent;
#[path = "layout_page/handshake.rs"]
mod handshake;
#[path = "layout_page/head.rs"]
mod head;
#[path = "layout_page/markdown.rs"]
mod markdown;
#[path = "layout_page/native.rs"]
mod native;
#[path = "layout_page/outbox.rs"]
mod outbox;
#[path = "layout_page/pair.rs"]
mod pair;
#[path = "layout_page/ring.rs"]
mod ring;
#[path = "layout_page/slot.rs"]
mod slot;

use std::path::Path;

use nowire_protocol::stream::CREDIT_LIMIT;

const PAGE: &str = include_str!("../../../docs/layout.md");

#[test]
fn every_table_of_the_page_is_true() {
    let tables = [
        ("outbox", outbox::outbox()),
        ("shapes", outbox::shapes()),
        ("slot", slot::slot()),
        ("native slot", native::slot()),
        ("extent slot", extent::slot()),
        ("flags", slot::flags()),
        ("reset codes", slot::reset_codes()),
        ("example", ring::example()),
        ("native example", native::example()),
        ("field", head::field()),
        ("head table", head::table()),
        ("head limits", head::limits()),
        ("header", handshake::header()),
        ("hello", handshake::hello()),
        ("welcome", handshake::welcome()),
        ("heap", handshake::heap()),
        ("references", handshake::references()),
        ("features", handshake::features()),
        ("refusal", handshake::refusal()),
        ("refusal codes", handshake::refusal_codes()),
        ("handshake limits", handshake::limits()),
        ("names", announcement::names()),
        ("files", announcement::files()),
    ];
    let mut page = PAGE.to_owned();
    for (name, table) in &tables {
        let begin = format!("<!-- from the code: {name} -->\n");
        let (before, rest) = page
            .split_once(&begin)
            .unwrap_or_else(|| panic!("docs/layout.md has no table {name:?}"));
        let (_, after) = rest
            .split_once("<!-- end -->")
            .unwrap_or_else(|| panic!("docs/layout.md: table {name:?} does not end"));
        page = format!("{before}{begin}{table}<!-- end -->{after}");
    }
    let marked = PAGE.matches("<!-- from the code:").count();
    assert_eq!(marked, tables.len(), "a table that nobody makes, or twice");
    if std::env::var_os("UPDATE_LAYOUT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/layout.md");
        std::fs::write(path, page).expect("the page can be written");
        return;
    }
    for (number, (says, is)) in PAGE.lines().zip(page.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(says, is, "docs/layout.md:{line}; UPDATE_LAYOUT=1 mends it");
    }
    assert_eq!(PAGE, page, "docs/layout.md; UPDATE_LAYOUT=1 mends it");
}

#[test]
fn the_sentence_about_credit_names_the_limit() {
    assert!(PAGE.contains(&format!("limited to {CREDIT_LIMIT}.")));
}
