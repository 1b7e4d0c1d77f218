/// Numbers and bytes taken off the front of a fuzzer's input. Once it is used up
/// there are only zeros, so that a longer input is never needed to say the same.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bytes, at most `most` of them.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    pub(crate) fn short(&mut self) -> u16 {
        self.number::<2>() as u16
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.number::<4>() as u32
    }

    pub(crate) fn long(&mut self) -> u64 {
        self.number::<8>()
    }

    /// A length or place: mostly small, at times anything.
    pub(crate) fn length(&mut self) -> u32 {
        let short = self.short();
        if short == u16::MAX {
            self.word()
        } else {
            u32::from(short)
        }
    }

    fn number<const N: usize>(&mut self) -> u64 {
        let mut little_endian = [0; 8];
        let bytes = self.bytes(N);
        little_endian[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(little_endian)
    }
}
