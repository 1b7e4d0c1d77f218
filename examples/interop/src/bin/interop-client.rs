//! Runs interoperability tests against any gRPC server.
#![forbid(unsafe_code)]

use std::{io::stderr, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::{ArgAction, Parser, ValueEnum};
use nowire_grpc::{CarrierPolicy, Endpoint};
use nowire_interop::{Case, Settings};
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

/// The gRPC interoperability client.
#[derive(Parser)]
#[command(rename_all = "snake_case", version)]
struct Options {
    /// Host of the server.
    #[arg(long, default_value = "localhost")]
    server_host: String,
    /// Port of the server.
    #[arg(long, required_unless_present = "address", conflicts_with = "address")]
    server_port: Option<u16>,
    /// The server instead of host and port: http://host:port, unix:/path or nowire:name.
    #[arg(long)]
    address: Option<String>,
    /// Cases to run, separated by commas, or `all`.
    #[arg(long, default_value = "large_unary")]
    test_case: String,
    /// TLS is not offered; only `false` is accepted.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    use_tls: bool,
    /// Which carrier to use.
    #[arg(long, value_enum, default_value_t = CarrierOption::Prefer)]
    carrier: CarrierOption,

    /// Accepted and not used: there is no TLS.
    #[arg(long)]
    server_host_override: Option<String>,
    /// Accepted and not used: there is no TLS.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    use_test_ca: Option<String>,
    /// Accepted and not used: there is no authentication.
    #[arg(long)]
    default_service_account: Option<String>,
    /// Accepted and not used: there is no authentication.
    #[arg(long)]
    oauth_scope: Option<String>,
    /// Accepted and not used: there is no authentication.
    #[arg(long)]
    service_account_key_file: Option<String>,
    /// Accepted and not used: tonic has no service configuration.
    #[arg(long)]
    service_config_json: Option<String>,
    /// Accepted and not used: no metadata is added to the cases' own.
    #[arg(long)]
    additional_metadata: Option<String>,

    /// Calls of a soak.
    #[arg(long, default_value_t = 10)]
    soak_iterations: usize,
    /// Calls of a soak that may fail.
    #[arg(long, default_value_t = 0)]
    soak_max_failures: usize,
    /// A call of a soak that takes longer counts as failed.
    #[arg(long, default_value_t = 1000)]
    soak_per_iteration_max_acceptable_latency_ms: u64,
    /// When a soak gives up; by default iterations times acceptable latency.
    #[arg(long)]
    soak_overall_timeout_seconds: Option<u64>,
    /// Least time between the starts of two calls of a soak.
    #[arg(long, default_value_t = 0)]
    soak_min_time_ms_between_rpcs: u64,
    /// Payload of a soak's requests in bytes.
    #[arg(long, default_value_t = 271_828)]
    soak_request_size: usize,
    /// Payload of a soak's responses in bytes.
    #[arg(long, default_value_t = 314_159)]
    soak_response_size: i32,
    /// Loops that share a soak's calls.
    #[arg(long, default_value_t = 1)]
    soak_num_threads: usize,
    /// Seconds between the calls of long_lived_channel.
    #[arg(long, default_value_t = 1)]
    iteration_interval: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum CarrierOption {
    /// Shared memory where the server offers it, else HTTP/2.
    Prefer,
    /// Shared memory or nothing.
    Require,
    /// HTTP/2.
    Never,
}

impl From<CarrierOption> for CarrierPolicy {
    fn from(option: CarrierOption) -> Self {
        match option {
            CarrierOption::Prefer => Self::Prefer,
            CarrierOption::Require => Self::Require,
            CarrierOption::Never => Self::Never,
        }
    }
}

impl Options {
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.soak.iterations = self.soak_iterations;
        settings.soak.max_failures = self.soak_max_failures;
        settings.soak.max_latency =
            Duration::from_millis(self.soak_per_iteration_max_acceptable_latency_ms);
        settings.soak.overall_timeout = self.soak_overall_timeout_seconds.map(Duration::from_secs);
        settings.soak.min_interval = Duration::from_millis(self.soak_min_time_ms_between_rpcs);
        settings.soak.request_bytes = self.soak_request_size;
        settings.soak.response_bytes = self.soak_response_size;
        settings.soak.threads = self.soak_num_threads;
        settings.iteration_interval = Duration::from_secs(self.iteration_interval);
        settings
    }

    fn address(&self) -> anyhow::Result<String> {
        match (&self.address, self.server_port) {
            (Some(address), _) => Ok(address.clone()),
            (None, Some(port)) if self.server_host.contains(':') => {
                Ok(format!("http://[{}]:{port}", self.server_host))
            }
            (None, Some(port)) => Ok(format!("http://{}:{port}", self.server_host)),
            (None, None) => bail!("--server_port or --address is needed"),
        }
    }

    fn say_what_is_not_used(&self) {
        let given = [
            ("server_host_override", &self.server_host_override),
            ("use_test_ca", &self.use_test_ca),
            ("default_service_account", &self.default_service_account),
            ("oauth_scope", &self.oauth_scope),
            ("service_account_key_file", &self.service_account_key_file),
            ("service_config_json", &self.service_config_json),
            ("additional_metadata", &self.additional_metadata),
        ];
        for (name, _) in given.iter().filter(|(_, value)| value.is_some()) {
            eprintln!("note: --{name} is accepted and not used");
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    fmt().with_env_filter(filter).with_writer(stderr).init();
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.use_tls {
        bail!("this client has no TLS; run it without --use_tls or with --use_tls=false");
    }
    let cases = Case::select(&options.test_case)?;
    options.say_what_is_not_used();
    let address = options.address()?;
    let settings = options.settings();

    let endpoint = Endpoint::from_shared(address)?.carrier(options.carrier.into());
    let connect = async || Ok(endpoint.connect().await?);
    let channel = endpoint.connect().await?;
    let mut failed = 0;
    for case in cases {
        let result = case.run(&channel, connect, &settings).await;
        let carrier = match channel.carrier() {
            Some(carrier) => carrier.to_string(),
            None => "no carrier".to_owned(),
        };
        match result {
            Ok(passed) => {
                let note = passed.note.map(|note| format!(": {note}"));
                println!("PASS {case} over {carrier}{}", note.unwrap_or_default());
            }
            Err(failure) => {
                failed += 1;
                println!("FAIL {case} over {carrier}: {failure}");
            }
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
