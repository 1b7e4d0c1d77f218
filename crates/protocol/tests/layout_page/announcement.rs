use crate::markdown::{markdown, row};

const NAMES: &str = include_str!("../../../nowire/src/names.rs");
const ANNOUNCEMENT: &str = include_str!("../../../nowire/src/announcement.rs");

/// Says that a source has a format string, and returns what the page calls it.
fn written(source: &str, format: &str, shown: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    assert!(
        code.contains(&format!("\"{format}\"")),
        "no code writes {format:?} any more; is {shown:?} still true?"
    );
    shown.to_owned()
}

pub(crate) fn names() -> String {
    let birth = written(NAMES, "-{:x}.{:x}", "-*birth*");
    let unix = written(NAMES, "unix-{:x}.{:x}-{:x}", "unix-*device*-*inode*");
    markdown(&[
        row(["name", "announces"]),
        vec![
            written(
                NAMES,
                "tcp-{address}@{network}",
                "tcp-*address*:*port*@*network*",
            ),
            "a TCP address of one network namespace".into(),
        ],
        vec![
            unix + &birth,
            "a Unix socket, whatever its path is called".into(),
        ],
        vec![
            written(NAMES, "name-{name}", "name-*name*"),
            "a name, `nowire:name`".into(),
        ],
    ])
}

pub(crate) fn files() -> String {
    let file = |suffix: &str, what: &str| {
        let format = format!("{{stem}}{suffix}");
        let shown = format!("*name*`{suffix}`");
        vec![written(ANNOUNCEMENT, &format, &shown), what.to_owned()]
    };
    markdown(&[
        row(["file", "is"]),
        file(".sock", "the Unix socket where the server takes clients"),
        file(".lock", "locked (`flock`) as long as the server lives"),
        file(
            ".new",
            "the socket while the server begins; then it is renamed",
        ),
    ])
}
