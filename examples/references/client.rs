//! Writes a long document once, and has it worked on by somebody it never meets.
#![forbid(unsafe_code)]

use std::io::Write;

use archive::Document;
use archive::archive_client::ArchiveClient;
use nowire::{Pool, Ref};
use nowire_grpc::Endpoint;

const LINES: usize = 100_000;
const LINE_BYTES: usize = 80;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = std::env::args().nth(1);
    let server = server.unwrap_or_else(|| "http://127.0.0.1:50060".to_owned());
    let channel = Endpoint::from_shared(server)?.connect().await?;
    let mut archive = ArchiveClient::new(channel.clone()).max_decoding_message_size(16 << 20);

    let text = written()?;
    println!("written: {} bytes", text.len());

    // As often as you like: what travels is a token.
    for _ in 0..3 {
        let lines = archive.count(document(&text)).await?.into_inner();
        println!("counted: {} lines", lines.lines);
    }

    let redacted = archive.redact(document(&text)).await?.into_inner();
    let redacted = redacted.text.unwrap_or_default();
    let changed = redacted.open()?;
    println!("redacted: {}", first_line(&changed));
    // Nobody's writing is seen by anybody else.
    println!("own text: {}", first_line(&text.map()?));
    if let Some(carrier) = channel.carrier() {
        println!("carried by {carrier}");
    }
    Ok(())
}

/// The document, in memory that others can be shown.
fn written() -> anyhow::Result<Ref> {
    let mut buffer = Pool::process().with_capacity(LINES * LINE_BYTES)?;
    for line in 0..LINES {
        let secret = if line % 40_000 == 0 {
            "secret"
        } else {
            "public"
        };
        let text = format!("line {line} is {secret}");
        writeln!(buffer, "{text:width$}", width = LINE_BYTES - 1)?;
    }
    Ok(buffer.share())
}

fn document(text: &Ref) -> Document {
    Document {
        title: "a log".to_owned(),
        text: Some(text.clone().into()),
    }
}

fn first_line(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next();
    String::from_utf8_lossy(line.unwrap_or_default())
        .trim_end()
        .to_owned()
}
