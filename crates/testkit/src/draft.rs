use nowire_protocol::frame::StreamId;

/// A frame as it will lie in the ring, while it can still be made worse.
///
/// It begins as an honest frame; each method changes one field of it and
/// nothing else.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Offset of the slot in the outbox.
    pub(crate) slot: usize,
    pub(crate) words: [u64; 8],
    /// Offset in the outbox and bytes of a payload outside the slot.
    pub(crate) payload: Option<(usize, Vec<u8>)>,
}

impl Draft {
    /// The stamp of the turn the slot is in.
    pub fn stamp(&self) -> u32 {
        self.words[0] as u32
    }

    /// Changes the stamp.
    #[must_use]
    pub fn with_stamp(mut self, stamp: u32) -> Self {
        self.words[0] = self.words[0] & !0xffff_ffff | u64::from(stamp);
        self
    }

    /// Changes the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: u8) -> Self {
        self.words[0] = self.words[0] & !(0xff << 32) | u64::from(kind) << 32;
        self
    }

    /// Changes the flags.
    #[must_use]
    pub fn with_flags(mut self, change: impl FnOnce(u8) -> u8) -> Self {
        let flags = change((self.words[0] >> 40) as u8);
        self.words[0] = self.words[0] & !(0xff << 40) | u64::from(flags) << 40;
        self
    }

    /// Changes the stream.
    #[must_use]
    pub fn with_stream(mut self, stream: StreamId) -> Self {
        self.words[1] = u64::from(stream.index) | u64::from(stream.call) << 32;
        self
    }

    /// Changes a word of the slot.
    #[must_use]
    pub fn with_word(mut self, index: usize, change: impl FnOnce(u64) -> u64) -> Self {
        self.words[index] = change(self.words[index]);
        self
    }

    /// Changes where the payload allegedly starts in the data area.
    #[must_use]
    pub fn with_offset(mut self, offset: u32) -> Self {
        self.words[2] = self.words[2] & !0xffff_ffff | u64::from(offset);
        self
    }

    /// Changes the alleged lengths of header block, data and trailer block.
    #[must_use]
    pub fn with_lengths(mut self, head: u32, data: u32, tail: u32) -> Self {
        self.words[2] = self.words[2] & 0xffff_ffff | u64::from(head) << 32;
        self.words[3] = u64::from(data) | u64::from(tail) << 32;
        self
    }
}
