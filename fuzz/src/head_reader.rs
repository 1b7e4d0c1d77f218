use nowire_protocol::head::{Field, Fields, TABLE, write_field};

/// Reads a block as a peer may have written it. What can be read means the same
/// after it was written again by us.
pub fn head_reader(block: &[u8]) {
    let Ok(fields) = named(block) else { return };
    let mut again = nowire_protocol::head::Block::new();
    for (name, value) in &fields {
        // A literal name need not be UTF-8; our own writer takes only what is.
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        write_field(&mut again, name, value).expect("lengths that were read can be written");
    }
    assert!(again.len() <= block.len(), "our block is longer");
    assert_eq!(named(&again).as_ref(), Ok(&fields));
}

type Named<'a> = Vec<(&'a [u8], &'a [u8])>;

fn named(block: &[u8]) -> Result<Named<'_>, nowire_protocol::head::HeadError> {
    Fields::new(block)
        .map(|field| {
            Ok(match field? {
                Field::Entry(tag, value) => (TABLE[usize::from(tag) - 1].0.as_bytes(), value),
                Field::Literal(name, value) => (name, value),
            })
        })
        .collect()
}
