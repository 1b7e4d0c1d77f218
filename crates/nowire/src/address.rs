use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Longest name a server can have, in bytes.
const NAME_LIMIT_BYTES: usize = 64;

/// Where a server is: what it announces, and what a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The address at which the server also speaks HTTP/2, `127.0.0.1:50051`.
    Tcp(SocketAddr),
    /// The Unix socket at which it also speaks HTTP/2, `unix:/path`.
    Unix(PathBuf),
    /// A name, `nowire:inventory`: 1 to 64 letters, digits, `.`, `_` or `-`, the
    /// first no dot.
    Name(String),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address: {reason}")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl Address {
    /// Checks and makes [`Address::Name`].
    ///
    /// # Errors
    /// If the name is empty, too long, or has characters a name may not have.
    pub fn name(name: &str) -> Result<Self, AddressError> {
        check_name(name)?;
        Ok(Self::Name(name.to_owned()))
    }

    /// The address of a server by its bare name, `inventory`, or in any form that
    /// can be parsed.
    ///
    /// # Errors
    /// If it is neither.
    pub(crate) fn of_name(text: &str) -> Result<Self, AddressError> {
        if text.contains(':') {
            text.parse()
        } else {
            Self::name(text)
        }
    }

    /// Checks what the variants cannot rule out.
    pub(crate) fn check(&self) -> Result<(), AddressError> {
        match self {
            Self::Tcp(address) if address.port() == 0 => {
                Err(self.error("port 0 stands for any port; give the one that was bound"))
            }
            Self::Unix(path) if path.as_os_str().is_empty() => Err(self.error("the path is empty")),
            Self::Name(name) => check_name(name),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }

    fn error(&self, reason: &'static str) -> AddressError {
        AddressError {
            text: self.to_string(),
            reason,
        }
    }
}

/// A name becomes part of a file name, so it must not lead anywhere else.
fn check_name(name: &str) -> Result<(), AddressError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let reason = if name.is_empty() {
        "the name is empty"
    } else if name.len() > NAME_LIMIT_BYTES {
        "a name has at most 64 characters"
    } else if name.starts_with('.') {
        "a name does not start with a dot"
    } else if !name.bytes().all(allowed) {
        "a name has only letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(AddressError {
        text: format!("nowire:{name}"),
        reason,
    })
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |reason| AddressError {
            text: text.to_owned(),
            reason,
        };
        if let Some(name) = text.strip_prefix("nowire:") {
            return Self::name(name);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let address = match path.strip_prefix("//") {
                Some(absolute) if absolute.starts_with('/') => Self::Unix(absolute.into()),
                Some(_) => return Err(error("after 'unix://' comes an absolute path")),
                None => Self::Unix(path.into()),
            };
            return address.check().map(|()| address);
        }
        let address = text.parse().map_err(|_| {
            error("expected 'address:port' in numbers, 'unix:/path' or 'nowire:name'")
        })?;
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Name(name) => write!(f, "nowire:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().expect("an address")
    }

    #[test]
    fn every_form_is_read_and_shown() {
        for (text, shown) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("[::1]:50051", "[::1]:50051"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("unix:a.sock", "unix:a.sock"),
            ("nowire:inventory", "nowire:inventory"),
            ("nowire:a-b_c.9", "nowire:a-b_c.9"),
        ] {
            assert_eq!(parsed(text).to_string(), shown);
            assert_eq!(parsed(shown), parsed(text));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (text, reason) in [
            ("localhost:50051", "in numbers"),
            ("127.0.0.1", "in numbers"),
            ("", "in numbers"),
            ("unix:", "empty"),
            ("unix://a.sock", "absolute"),
            ("nowire:", "empty"),
            ("nowire:.hidden", "dot"),
            ("nowire:../x", "dot"),
            ("nowire:a/b", "only letters"),
            ("nowire:a b", "only letters"),
            ("nowire:\u{e9}", "only letters"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Address::name(&"x".repeat(64)).is_ok());
        assert!(Address::name(&"x".repeat(65)).is_err());
    }

    #[test]
    fn names_made_without_the_check_are_found_out() {
        assert!(Address::Name("../x".into()).check().is_err());
        assert!(Address::Unix(PathBuf::new()).check().is_err());
        assert!(
            Address::Tcp("127.0.0.1:0".parse().expect("an address"))
                .check()
                .is_err()
        );
    }
}
