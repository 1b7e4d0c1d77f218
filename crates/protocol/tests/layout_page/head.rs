use nowire_protocol::head::{self, FIELD_LIMIT, Field, Fields, TABLE, VALUE_LIMIT};

use crate::markdown::{markdown, row};

pub(crate) fn field() -> String {
    let write = |name: &str, value: &[u8]| {
        let mut block = head::Block::new();
        head::write_field(&mut block, name, value).expect("a field");
        block.into_vec()
    };
    assert_eq!(write("te", b"trailers"), [4]);
    assert_eq!(
        write("grpc-timeout", b"1S"),
        [&[9, 2, 0], &b"1S"[..]].concat()
    );
    assert_eq!(
        write("x-a", b"bc"),
        [&[255, 3], &b"x-a"[..], &[2, 0], b"bc"].concat()
    );
    markdown(&[
        row(["a field whose name and value", "is written as"]),
        row(["are an entry of the table", "its tag"]),
        row([
            "are an entry without value, and any value",
            "its tag, 2 bytes of length, the value",
        ]),
        row([
            "are any other",
            "255, 1 byte of length, the name, 2 bytes of length, the value",
        ]),
    ])
}

pub(crate) fn table() -> String {
    let mut rows = vec![row(["tag", "name", "value"])];
    for (number, (name, value)) in TABLE.iter().enumerate() {
        let tag = number as u8 + 1;
        let mut block = vec![tag];
        if value.is_none() {
            block.extend_from_slice(b"\x01\0v");
        }
        let expected = Field::Entry(tag, value.unwrap_or("v").as_bytes());
        assert_eq!(
            Fields::new(&block).collect::<Vec<_>>(),
            [Ok(expected)],
            "{name}"
        );
        let value = value.map_or("follows".into(), |value| format!("`{value}`"));
        rows.push(vec![tag.to_string(), format!("`{name}`"), value]);
    }
    markdown(&rows)
}

pub(crate) fn limits() -> String {
    let long = |bytes| "n".repeat(bytes);
    let mut block = head::Block::new();
    assert!(head::write_field(&mut block, &long(255), b"").is_ok());
    assert!(head::write_field(&mut block, &long(256), b"").is_err());
    assert!(head::write_field(&mut block, "x", &vec![0; VALUE_LIMIT + 1]).is_err());
    markdown(&[
        row(["limit of a block", ""]),
        vec!["fields".into(), FIELD_LIMIT.to_string()],
        row(["bytes of a name", "255"]),
        vec!["bytes of a value".into(), VALUE_LIMIT.to_string()],
    ])
}
