//! What gRPC promises a user, a module for each theme: every test is written once and run on each
//! carrier.
#![forbid(unsafe_code)]

macro_rules! on_each_carrier {
    ($($test:ident)*) => {
        mod http2 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::carrier::On::Http2).await;
                }
            )*
        }

        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::carrier::On::Memory).await;
                }
            )*
        }
    };
}

mod call_limits;
mod cancellation;
mod deadlines;
mod early_end;
mod flow_control;
mod layers;
mod many_at_once;
mod messages;
mod metadata;
mod services;
mod shutdown;
mod size_limits;
mod status;
mod support;
