//! How a client learns the methods of a service, and whether both sides lay out
//! their types alike. It is a native call itself, of types that never change.

use nowire_memory::data::{Scope, ScopeError, Slice, Str};

use super::service::Service;
use crate::Shared;

/// Longest name of a service, in bytes.
const NAME_BYTES: usize = 63;

/// The service asked for.
#[derive(Clone, Copy, Shared)]
pub(crate) struct Asked {
    bytes: u8,
    name: [u8; NAME_BYTES],
}

impl Asked {
    /// None if the name is too long.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mut asked = Self {
            bytes: u8::try_from(name.len()).ok()?,
            name: [0; NAME_BYTES],
        };
        asked
            .name
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(asked)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        std::str::from_utf8(self.name.get(..usize::from(self.bytes))?).ok()
    }
}

/// What a server says of a service.
#[derive(Shared)]
pub(crate) struct Description<'s> {
    pub(crate) methods: Slice<'s, Described<'s>>,
}

/// One method.
#[derive(Shared)]
pub(crate) struct Described<'s> {
    /// The number it is called by.
    pub(crate) code: u16,
    pub(crate) name: Str<'s>,
    /// How its types are laid out.
    pub(crate) layout: Str<'s>,
}

/// Room that the description of a service takes at most.
pub(crate) fn scope_bytes(service: &dyn Service) -> usize {
    let methods = service
        .methods()
        .iter()
        .map(|method| size_of::<Described<'_>>() + method.name.len() + method.layout().len() + 32);
    methods.sum::<usize>() + 64
}

pub(crate) fn describe<'s>(
    scope: &'s Scope,
    service: &dyn Service,
    first: u16,
) -> Result<Description<'s>, ScopeError> {
    let mut methods = Vec::new();
    for (index, method) in service.methods().iter().enumerate() {
        methods.push(Described {
            code: first + index as u16,
            name: scope.str(method.name)?,
            layout: scope.str(&method.layout())?,
        });
    }
    Ok(Description {
        methods: scope.slice_of(methods)?,
    })
}
