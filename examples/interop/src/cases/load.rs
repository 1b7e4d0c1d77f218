//! Load reports.
//!
//! The description hands the reports to a load-balancing policy of the client. tonic has no such
//! policies, so the cases read what a policy would be handed: the trailer, and the stream of
//! `OpenRcaService`.

use std::collections::HashMap;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{LOAD_TRAILER, answer, ask, client, next, wire_of, within};
use crate::{
    Channel, Failure, Settings,
    failure::expect_eq,
    proto::{
        testing::{SimpleRequest, StreamingOutputCallRequest, TestOrcaReport},
        xds::{
            data::orca::v3::OrcaLoadReport,
            service::orca::v3::{
                OrcaLoadReportRequest, open_rca_service_client::OpenRcaServiceClient,
            },
        },
    },
};

pub(crate) async fn per_call<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let report = TestOrcaReport {
        request_cost: HashMap::from([("cost".into(), 3456.32)]),
        ..report(0.8210, 0.5847, 0.30499)
    };
    let mut client = client(channel);
    let call = client.unary_call(SimpleRequest {
        orca_per_query_report: Some(report.clone()),
        ..SimpleRequest::default()
    });
    let response = answer("UnaryCall", settings, call).await?;
    let trailers = wire_of(&response)?.trailing();
    let got = trailers
        .get_bin(LOAD_TRAILER)
        .and_then(|value| value.to_bytes().ok())
        .and_then(|bytes| OrcaLoadReport::decode(bytes).ok());
    expect_eq(
        format!("UnaryCall: report in the trailer {LOAD_TRAILER}"),
        Some(expected(report)),
        got,
    )
}

pub(crate) async fn out_of_band<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const CALL: &str = "FullDuplexCall";
    let mut reports = OpenRcaServiceClient::new(channel.clone());
    let request = OrcaLoadReportRequest {
        report_interval: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..OrcaLoadReportRequest::default()
    };
    let call = reports.stream_core_metrics(request);
    let mut reports = answer("StreamCoreMetrics", settings, call)
        .await?
        .into_inner();

    let mut client = client(channel);
    let (sender, receiver) = mpsc::channel(1);
    let mut receiver = Some(receiver);
    let mut responses = None;
    for report in [
        report(0.8210, 0.5847, 0.30499),
        report(0.29309, 0.2, 0.2039),
    ] {
        let request = StreamingOutputCallRequest {
            orca_oob_report: Some(report.clone()),
            ..ask(0, 1)
        };
        sender.try_send(request).map_err(|_| Failure::Mismatch {
            what: CALL.into(),
            expected: "a stream that takes requests".into(),
            got: "none".into(),
        })?;
        if let Some(receiver) = receiver.take() {
            let call = client.full_duplex_call(ReceiverStream::new(receiver));
            responses = Some(answer(CALL, settings, call).await?.into_inner());
        }
        if let Some(responses) = &mut responses {
            let response = next(CALL, settings, responses).await?;
            expect_eq(format!("{CALL}: a response"), true, response.is_some())?;
        }
        await_report(settings, &mut reports, expected(report)).await?;
    }
    Ok(())
}

/// Reads reports until the expected one comes; older ones may come before it.
async fn await_report(
    settings: &Settings,
    reports: &mut Streaming<OrcaLoadReport>,
    expected: OrcaLoadReport,
) -> Result<(), Failure> {
    let mut last = None;
    let mut seen = async || {
        loop {
            let report = reports.message().await?;
            if report.is_none() || report.as_ref() == Some(&expected) {
                return Ok(report);
            }
            last = report;
        }
    };
    match within("StreamCoreMetrics", settings, seen()).await {
        Err(Failure::Silent { .. }) => expect_eq("StreamCoreMetrics: report", Some(expected), last),
        Err(other) => Err(other),
        Ok(result) => {
            let report = crate::failure::expect_ok("StreamCoreMetrics", result)?;
            expect_eq("StreamCoreMetrics: report", Some(expected), report)
        }
    }
}

fn report(cpu: f64, memory: f64, util: f64) -> TestOrcaReport {
    TestOrcaReport {
        cpu_utilization: cpu,
        memory_utilization: memory,
        request_cost: HashMap::new(),
        utilization: HashMap::from([("util".into(), util)]),
    }
}

fn expected(report: TestOrcaReport) -> OrcaLoadReport {
    OrcaLoadReport {
        cpu_utilization: report.cpu_utilization,
        mem_utilization: report.memory_utilization,
        request_cost: report.request_cost,
        utilization: report.utilization,
        ..OrcaLoadReport::default()
    }
}
