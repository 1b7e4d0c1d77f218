//! Which files in the runtime directory stand for an address.
//!
//! ```text
//! tcp-<address>:<port>@<network>   a TCP address of one network namespace
//! unix-<device>-<inode>-<birth>    a Unix socket, whatever its path is called
//! name-<name>                      a name
//! ```
//! each with `.sock` (where the server listens), `.lock` (held while it lives)
//! or `.new` (while it begins).
//!
//! An IP address means something within one network namespace only, so every
//! TCP announcement carries the namespace it was made in, and a client looks
//! under its own first. It looks under others in one case: the address is
//! neither loopback, link-local nor wildcard, and not an address of the client's
//! own namespace. Such an address leads out of the client's namespace anyway,
//! and whoever shares a runtime directory among namespaces says by this that
//! they are on one network. If two other namespaces announce the address, it is
//! none the client can tell apart, and it takes neither. A wildcard server is
//! found under each address of its own namespace, but not from others: their
//! addresses are not known to be its.
//!
//! A Unix socket is known by its file, not its path: relative paths, links and
//! mount namespaces do not matter, and a socket made anew is another one, even
//! when the file system gives it the same inode again.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};

use crate::address::Address;

/// Where a client looks for an address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// Stems of announcements, the best first.
    pub(crate) stems: Vec<String>,
    /// What stems of other namespaces' announcements begin with, where those
    /// count.
    pub(crate) foreign_prefix: Option<String>,
}

/// Stems under which a server announces `address`.
pub(crate) fn announced(address: &Address) -> io::Result<Vec<String>> {
    match address {
        Address::Tcp(address) => {
            let network = own_network()?;
            let address = canonical(*address);
            let mut stems = vec![tcp_stem(address, &network)];
            // As the kernel does it: such a socket takes IPv4 clients as well.
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !is_v6_only() {
                stems.push(tcp_stem(
                    (Ipv4Addr::UNSPECIFIED, address.port()).into(),
                    &network,
                ));
            }
            Ok(stems)
        }
        Address::Unix(path) => Ok(vec![unix_stem(path)?]),
        Address::Name(name) => Ok(vec![format!("name-{name}")]),
    }
}

/// Where to look for `address`; nowhere if it is a Unix socket that is not there.
pub(crate) fn sought(address: &Address) -> io::Result<Search> {
    match address {
        Address::Tcp(address) => Ok(tcp_search(canonical(*address), &own_network()?, is_local)),
        Address::Unix(path) => match unix_stem(path) {
            Ok(stem) => Ok(Search {
                stems: vec![stem],
                ..Search::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Search::default()),
            Err(error) => Err(error),
        },
        Address::Name(name) => Ok(Search {
            stems: vec![format!("name-{name}")],
            ..Search::default()
        }),
    }
}

fn tcp_search(address: SocketAddr, network: &str, is_local: impl Fn(SocketAddr) -> bool) -> Search {
    let (ip, port) = (address.ip(), address.port());
    let (wildcard, loopback): (IpAddr, IpAddr) = match ip {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()),
    };
    // The kernel leads a client that asks for the wildcard to loopback.
    let asked = if ip.is_unspecified() {
        SocketAddr::new(loopback, port)
    } else {
        address
    };
    if is_bound_to_namespace(ip) || is_local(asked) {
        let both = [asked, SocketAddr::new(wildcard, port)];
        let stems = both.map(|address| tcp_stem(address, network)).to_vec();
        Search {
            stems,
            foreign_prefix: None,
        }
    } else {
        Search {
            stems: Vec::new(),
            foreign_prefix: Some(tcp_stem(asked, "")),
        }
    }
}

fn tcp_stem(address: SocketAddr, network: &str) -> String {
    format!("tcp-{address}@{network}")
}

/// One way to write each address.
fn canonical(address: SocketAddr) -> SocketAddr {
    let mut canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
    if let (SocketAddr::V6(to), SocketAddr::V6(from)) = (&mut canonical, address) {
        to.set_scope_id(from.scope_id());
    }
    canonical
}

/// Whether the address can mean nothing outside the namespace that uses it.
fn is_bound_to_namespace(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    ip.is_loopback() || ip.is_unspecified() || link_local
}

/// Whether the address is one of this namespace's own. Only the kernel's clear
/// no counts as one: a yes confines the search to this namespace.
fn is_local(address: SocketAddr) -> bool {
    let mut any_port = address;
    any_port.set_port(0);
    !matches!(UdpSocket::bind(any_port), Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// What tells this thread's network namespace from all others of this host.
fn own_network() -> io::Result<String> {
    let link = "/proc/thread-self/ns/net";
    let namespace = rustix::fs::stat(link).map_err(|errno| {
        let error = io::Error::from(errno);
        io::Error::new(
            error.kind(),
            format!("cannot tell the network namespace: {link}: {error}"),
        )
    })?;
    Ok(format!("{:x}-{:x}", namespace.st_dev, namespace.st_ino))
}

fn is_v6_only() -> bool {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only");
    setting.is_ok_and(|setting| setting.trim() == "1")
}

fn unix_stem(path: &Path) -> io::Result<String> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let file = rustix::fs::statx(CWD, path, AtFlags::empty(), wanted)?;
    if FileType::from_raw_mode(file.stx_mode.into()) != FileType::Socket {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket"));
    }
    let mut stem = format!(
        "unix-{:x}.{:x}-{:x}",
        file.stx_dev_major, file.stx_dev_minor, file.stx_ino
    );
    if StatxFlags::from_bits_retain(file.stx_mask).contains(StatxFlags::BTIME) {
        let birth = file.stx_btime;
        // Writing to a string does not fail.
        let _ = write!(stem, "-{:x}.{:x}", birth.tv_sec, birth.tv_nsec);
    }
    Ok(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(address: &str, local: &[&str]) -> Search {
        let is_local = |address: SocketAddr| local.contains(&address.ip().to_string().as_str());
        tcp_search(
            canonical(address.parse().expect("an address")),
            "net",
            is_local,
        )
    }

    fn own(stems: [&str; 2]) -> Search {
        Search {
            stems: stems.map(String::from).to_vec(),
            foreign_prefix: None,
        }
    }

    #[test]
    fn loopback_and_wildcard_are_sought_in_the_own_namespace_only() {
        let loopback = own(["tcp-127.0.0.1:5@net", "tcp-0.0.0.0:5@net"]);
        assert_eq!(search("127.0.0.1:5", &[]), loopback);
        assert_eq!(search("0.0.0.0:5", &[]), loopback);
        assert_eq!(search("[::ffff:127.0.0.1]:5", &[]), loopback);
        assert_eq!(
            search("[::]:5", &[]),
            own(["tcp-[::1]:5@net", "tcp-[::]:5@net"])
        );
    }

    #[test]
    fn an_address_of_the_own_namespace_is_not_sought_in_others() {
        assert_eq!(
            search("10.0.0.1:5", &["10.0.0.1"]),
            own(["tcp-10.0.0.1:5@net", "tcp-0.0.0.0:5@net"])
        );
        assert_eq!(search("169.254.1.1:5", &[]).foreign_prefix, None);
        assert_eq!(
            search("[fe80::1%3]:5", &[]).stems[0],
            "tcp-[fe80::1%3]:5@net"
        );
    }

    #[test]
    fn an_address_of_elsewhere_is_sought_under_itself_alone() {
        let elsewhere = search("10.0.0.2:5", &["10.0.0.1"]);
        assert_eq!(
            elsewhere,
            Search {
                stems: vec![],
                foreign_prefix: Some("tcp-10.0.0.2:5@".into())
            }
        );
    }

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        assert!(is_local("127.0.0.1:9".parse().expect("an address")));
        // Reserved for documentation: nobody has it.
        assert!(!is_local("192.0.2.77:9".parse().expect("an address")));
    }

    #[test]
    fn only_a_socket_counts_as_one() {
        let folder = Address::Unix(std::env::temp_dir());
        assert!(sought(&folder).is_err());
        assert!(announced(&folder).is_err());
        let nowhere = Address::Unix("/nowhere/at/all".into());
        assert_eq!(sought(&nowhere).expect("no error"), Search::default());
        assert!(announced(&nowhere).is_err());
    }
}
