use super::{HandshakeError, STREAMS, TEXT_LIMIT_BYTES, WINDOW_BYTES};

pub(super) fn check_streams(streams: u32) -> Result<u32, HandshakeError> {
    if STREAMS.contains(&streams) {
        Ok(streams)
    } else {
        Err(HandshakeError::Streams(streams))
    }
}

pub(super) fn check_window(bytes: u32) -> Result<u32, HandshakeError> {
    if WINDOW_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(HandshakeError::Window(bytes))
    }
}

pub(super) fn check_text(field: &'static str, text: &str) -> Result<(), HandshakeError> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(HandshakeError::TextTooLong {
            field,
            bytes: text.len(),
        });
    }
    // These strings end up in logs and on terminals.
    if text.chars().any(char::is_control) {
        return Err(HandshakeError::Text(field));
    }
    Ok(())
}
