//! Where a server is and how to talk to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use nowire::{Address, ConnectOptions, Connection, ConnectionOptions, KeepAlive, Wait};

use crate::carrier::{CarrierPolicy, is_off};
use crate::channel::{Channel, Link};
use crate::error::Error;

/// Builds channels to one server; takes the place of
/// `tonic::transport::Endpoint`.
///
/// An endpoint of the form `http://host:port` reaches the server through shared
/// memory if it is a Nowire server on this host that this process may talk to,
/// and over HTTP/2 otherwise; so does `unix:/path`. `nowire:name` has no HTTP/2.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = nowire_grpc::Endpoint::from_shared("http://127.0.0.1:50051")?.connect().await?;
/// println!("calls go over {:?}", channel.carrier());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    target: Target,
    text: Arc<str>,
    http2: Option<tonic::transport::Endpoint>,
    authority: Arc<str>,
    policy: CarrierPolicy,
    pub(crate) timeout: Option<Duration>,
    pub(crate) concurrency_limit: Option<usize>,
    connect: ConnectOptions,
    connection: ConnectionOptions,
}

#[derive(Clone, Debug)]
enum Target {
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    Name(String),
    /// Over TLS: never through shared memory.
    Tls,
}

impl Endpoint {
    /// The endpoint of an address: `http://host:port`, `unix:/path` or
    /// `nowire:name`.
    ///
    /// # Errors
    /// If the text is none of these.
    pub fn from_shared(address: impl Into<String>) -> Result<Self, Error> {
        let text = address.into();
        let error = |reason: &str| Error::Address {
            text: text.clone(),
            reason: reason.to_owned(),
        };
        let (target, http2, authority) = if text.starts_with("nowire:") || text.starts_with("unix:")
        {
            match text
                .parse::<Address>()
                .map_err(|reason| error(&reason.to_string()))?
            {
                Address::Unix(path) => {
                    let http2 =
                        tonic::transport::Endpoint::from_shared(format!("unix:{}", path.display()))
                            .map_err(|reason| error(&reason.to_string()))?;
                    (Target::Unix(path), Some(http2), "localhost".to_owned())
                }
                Address::Name(name) => (Target::Name(name.clone()), None, name),
                Address::Tcp(_) => return Err(error("not a TCP address")),
            }
        } else {
            let uri: Uri = text.parse().map_err(|_| error("not a URI"))?;
            let authority = uri
                .authority()
                .ok_or_else(|| error("it names no host"))?
                .clone();
            let target = match uri.scheme_str() {
                Some("http") => Target::Tcp {
                    host: authority
                        .host()
                        .trim_start_matches('[')
                        .trim_end_matches(']')
                        .to_owned(),
                    port: authority.port_u16().unwrap_or(80),
                },
                Some("https") => Target::Tls,
                _ => return Err(error("its scheme is not http")),
            };
            let http2 = tonic::transport::Endpoint::from_shared(text.clone().into_bytes())
                .map_err(|reason| error(&reason.to_string()))?;
            (target, Some(http2), authority.as_str().to_owned())
        };
        let connect = ConnectOptions {
            authority: authority.clone(),
            user_agent: concat!("nowire-grpc/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..ConnectOptions::default()
        };
        Ok(Self {
            target,
            text: text.into(),
            http2,
            authority: authority.into(),
            policy: CarrierPolicy::default(),
            timeout: None,
            concurrency_limit: None,
            connect,
            connection: ConnectionOptions::default(),
        })
    }

    /// The endpoint of an address known to be one.
    ///
    /// # Panics
    /// If it is not.
    pub fn from_static(address: &'static str) -> Self {
        Self::from_shared(address).expect("a valid address")
    }

    /// Which carrier to take; [`CarrierPolicy::Prefer`] if not set.
    #[must_use]
    pub fn carrier(mut self, policy: CarrierPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How to wait for answers through shared memory; [`Wait::Adaptive`] if not set.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.connection.wait = wait;
        self
    }

    /// Changes how the meeting is held: trusted users, sizes and windows.
    #[must_use]
    pub fn memory_options(mut self, change: impl FnOnce(&mut ConnectOptions)) -> Self {
        change(&mut self.connect);
        self
    }

    /// Changes settings of tonic's own transport, for calls over HTTP/2.
    /// Nothing happens for `nowire:name`, which has no HTTP/2.
    #[must_use]
    pub fn http2_options(
        mut self,
        change: impl FnOnce(tonic::transport::Endpoint) -> tonic::transport::Endpoint,
    ) -> Self {
        self.http2 = self.http2.map(change);
        self
    }

    /// A deadline for every call that has none, or a later one, of its own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Longest time to connect; 2 s for shared memory if not set, no limit but
    /// the system's for HTTP/2.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect.timeout = timeout;
        self.http2_options(|http2| http2.connect_timeout(timeout))
    }

    /// Most calls that this channel and its clones may have open; the others
    /// wait.
    #[must_use]
    pub fn concurrency_limit(mut self, limit: usize) -> Self {
        self.concurrency_limit = Some(limit);
        self
    }

    /// What the client calls itself, before Nowire's or tonic's own name.
    ///
    /// # Errors
    /// If the text may not be in a header.
    pub fn user_agent(mut self, user_agent: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::Address {
            text: user_agent.to_owned(),
            reason,
        };
        if http::HeaderValue::from_str(user_agent).is_err() {
            return Err(error("not a user agent".to_owned()));
        }
        self.connect.user_agent = format!("{user_agent} nowire-grpc/{}", env!("CARGO_PKG_VERSION"));
        self.http2 = match self.http2 {
            Some(http2) => Some(
                http2
                    .user_agent(user_agent.to_owned())
                    .map_err(|reason| error(reason.to_string()))?,
            ),
            None => None,
        };
        Ok(self)
    }

    /// Pings a silent server after this time, on both carriers.
    #[must_use]
    pub fn http2_keep_alive_interval(mut self, interval: Duration) -> Self {
        self.keep_alive().interval = interval;
        self.http2_options(|http2| http2.http2_keep_alive_interval(interval))
    }

    /// Time a server has to answer a ping, on both carriers; 20 s if not set.
    #[must_use]
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.keep_alive().timeout = timeout;
        self.http2_options(|http2| http2.keep_alive_timeout(timeout))
    }

    /// Whether to ping while no call is open, on both carriers.
    #[must_use]
    pub fn keep_alive_while_idle(mut self, enabled: bool) -> Self {
        self.keep_alive().while_idle = enabled;
        self.http2_options(|http2| http2.keep_alive_while_idle(enabled))
    }

    fn keep_alive(&mut self) -> &mut KeepAlive {
        self.connection
            .keep_alive
            .get_or_insert_with(KeepAlive::default)
    }

    /// Connects, and returns a channel that connects again by itself when the
    /// server was restarted.
    ///
    /// # Errors
    /// If neither carrier can be had, or not the one that is required.
    pub async fn connect(&self) -> Result<Channel, Error> {
        let link = self.link().await?;
        Ok(Channel::new(self.clone(), Some(link)))
    }

    /// A channel that connects at the first call.
    pub fn connect_lazy(&self) -> Channel {
        Channel::new(self.clone(), None)
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.text
    }

    pub(crate) fn authority(&self) -> Arc<str> {
        Arc::clone(&self.authority)
    }

    /// Connects over the best carrier there is.
    pub(crate) async fn link(&self) -> Result<Link, Error> {
        let off = is_off();
        let policy = if off && self.policy == CarrierPolicy::Prefer {
            CarrierPolicy::Never
        } else {
            self.policy
        };
        let reason = match policy {
            CarrierPolicy::Never if off => "NOWIRE=off".to_owned(),
            CarrierPolicy::Never => "the endpoint's policy".to_owned(),
            CarrierPolicy::Prefer | CarrierPolicy::Require => match self.meet().await {
                Ok(connection) => {
                    nowire::keep_freed_memory();
                    tracing::info!(address = %self.text, peer = %connection.peer(), "calls go through shared memory");
                    return Ok(Link::Memory(connection));
                }
                Err(reason) => reason,
            },
        };
        let Some(http2) = self
            .http2
            .as_ref()
            .filter(|_| policy != CarrierPolicy::Require)
        else {
            return Err(Error::Memory {
                address: self.text.to_string(),
                reason,
            });
        };
        tracing::info!(address = %self.text, %reason, "calls go over HTTP/2, not through shared memory");
        match http2.connect().await {
            Ok(channel) => Ok(Link::Http2(channel)),
            Err(source) => Err(Error::Http2 {
                address: self.text.to_string(),
                source: source.into(),
            }),
        }
    }

    /// Meets the server in shared memory, or says why that is not possible.
    async fn meet(&self) -> Result<Connection, String> {
        let mut reason = "the host name has no address".to_owned();
        for address in self.addresses().await? {
            match nowire::meet(&address, self.connect.clone()).await {
                Ok(met) => {
                    return Connection::client(met, self.connection)
                        .map_err(|error| error.to_string());
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    async fn addresses(&self) -> Result<Vec<Address>, String> {
        match &self.target {
            Target::Tcp { host, port } => {
                if let Ok(address) = host.parse() {
                    return Ok(vec![Address::Tcp(SocketAddr::new(address, *port))]);
                }
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                Ok(found
                    .map_err(|error| format!("{host} cannot be resolved: {error}"))?
                    .map(Address::Tcp)
                    .collect())
            }
            Target::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
            Target::Name(name) => Ok(vec![Address::Name(name.clone())]),
            Target::Tls => Err("TLS is spoken over a network only".to_owned()),
        }
    }
}
