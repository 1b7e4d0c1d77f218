//! Load reports: in a call's trailers, and out of band.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{self, BoxStream};
use prost::Message;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    time,
};
use tonic::{Request, Response, Status, metadata::BinaryMetadataValue};

use crate::proto::{
    testing::TestOrcaReport,
    xds::{
        data::orca::v3::OrcaLoadReport,
        service::orca::v3::{OrcaLoadReportRequest, open_rca_service_server::OpenRcaService},
    },
};

/// Shortest time between two reports, whatever the client asks for.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The report that the server publishes, and whose turn it is to set it.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadBoard {
    report: watch::Sender<OrcaLoadReport>,
    turn: Arc<Mutex<()>>,
}

impl LoadBoard {
    /// Waits until no other call sets reports: two test clients would see each other's.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    pub(super) fn publish(&self, _turn: &OwnedMutexGuard<()>, report: TestOrcaReport) {
        self.report.send_replace(OrcaLoadReport {
            request_cost: Default::default(),
            ..as_load_report(report)
        });
    }
}

/// The report in the form that travels in a trailer.
pub(super) fn trailer(report: TestOrcaReport) -> BinaryMetadataValue {
    BinaryMetadataValue::from_bytes(&as_load_report(report).encode_to_vec())
}

fn as_load_report(report: TestOrcaReport) -> OrcaLoadReport {
    OrcaLoadReport {
        cpu_utilization: report.cpu_utilization,
        mem_utilization: report.memory_utilization,
        request_cost: report.request_cost,
        utilization: report.utilization,
        ..OrcaLoadReport::default()
    }
}

/// The service that publishes the report.
#[derive(Clone, Debug)]
pub struct LoadReports(LoadBoard);

impl LoadReports {
    pub(super) fn new(board: LoadBoard) -> Self {
        Self(board)
    }
}

#[tonic::async_trait]
impl OpenRcaService for LoadReports {
    type StreamCoreMetricsStream = BoxStream<'static, Result<OrcaLoadReport, Status>>;

    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<Self::StreamCoreMetricsStream>, Status> {
        let asked = request.into_inner().report_interval.unwrap_or_default();
        let interval = Duration::try_from(asked)
            .unwrap_or_default()
            .max(MIN_INTERVAL);
        let ticks = (self.0.report.subscribe(), time::interval(interval));
        let reports = stream::unfold(ticks, |(report, mut ticks)| async move {
            ticks.tick().await;
            let now = report.borrow().clone();
            Some((Ok(now), (report, ticks)))
        });
        Ok(Response::new(Box::pin(reports)))
    }
}
