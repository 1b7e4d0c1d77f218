use super::fields::Fields;
use super::message::Message;
use super::{HandshakeError, REFERENCES};

/// How a side takes references to pooled memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReferenceOffer {
    /// What the tokens of references sent to this side begin with: random, not all
    /// zeros, and known to nobody but the two sides of this connection.
    pub key: [u8; 16],
    /// Segments of at least so many bytes are to be sealed by their owner before
    /// this side gets them; `u32::MAX` for none.
    pub seal_from_bytes: u32,
    /// Descriptors of references that this side keeps at a time; the peer sends by
    /// value what goes beyond.
    pub held_limit: u32,
}

impl std::fmt::Debug for ReferenceOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key lets whoever knows it name what came on this connection.
        f.debug_struct("ReferenceOffer")
            .field("seal_from_bytes", &self.seal_from_bytes)
            .finish_non_exhaustive()
    }
}

/// Writes the fields of references, which only a message with the feature has.
pub(super) fn write(
    message: &mut Message,
    features: u64,
    offer: Option<ReferenceOffer>,
) -> Result<(), HandshakeError> {
    if features & REFERENCES == 0 {
        return match offer {
            None => Ok(()),
            Some(_) => Err(HandshakeError::ReferencesUnasked),
        };
    }
    message.bytes(&offer.map_or([0; 16], |offer| offer.key));
    message.u32(offer.map_or(0, |offer| offer.seal_from_bytes));
    message.u32(offer.map_or(0, |offer| offer.held_limit));
    Ok(())
}

/// Reads the fields of references: none if the feature is not there, or if the
/// side takes no references.
pub(super) fn read(
    fields: &mut Fields<'_>,
    features: u64,
) -> Result<Option<ReferenceOffer>, HandshakeError> {
    if features & REFERENCES == 0 {
        return Ok(None);
    }
    let key = fields.array()?;
    let seal_from_bytes = fields.u32()?;
    let held_limit = fields.u32()?;
    Ok((key != [0; 16]).then_some(ReferenceOffer {
        key,
        seal_from_bytes,
        held_limit,
    }))
}
