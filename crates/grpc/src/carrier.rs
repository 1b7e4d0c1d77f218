use std::fmt;

/// What carries the calls of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Rings in shared memory.
    Memory,
    /// HTTP/2 over TCP or a Unix socket: tonic's own transport.
    Http2,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Http2 => "http2",
        })
    }
}

/// Which carrier an endpoint may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CarrierPolicy {
    /// Shared memory where the server can be reached that way, else HTTP/2.
    #[default]
    Prefer,
    /// Shared memory or nothing: connecting fails with the reason.
    Require,
    /// HTTP/2 always. `NOWIRE=off` in the environment has the same effect on
    /// every endpoint that does not require shared memory, and keeps a server
    /// from announcing itself beside its HTTP/2. (`nowire:name` has no HTTP/2, so
    /// nothing changes there.)
    Never,
}

/// Whether the environment switches shared memory off.
pub(crate) fn is_off() -> bool {
    std::env::var_os("NOWIRE")
        .is_some_and(|value| value.eq_ignore_ascii_case("off") || value == "0")
}
