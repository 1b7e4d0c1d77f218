//! A call through shared memory, made here and now.

use std::time::Duration;

use anyhow::{Context, ensure};
use nowire_grpc::{CarrierPolicy, Endpoint, Server};

use super::finding::Finding;
use crate::demo::child::PrivateDir;
use crate::places::places;
use crate::route_guide::{Guide, Point, RouteGuideClient, RouteGuideServer};

const ADDRESS: &str = "nowire:doctor";
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a call succeeds, server and client being in this process.
pub(super) async fn finding() -> Finding {
    let call = tokio::time::timeout(PATIENCE, try_call());
    let here = match call.await {
        Ok(Ok(())) => Ok("tried: called and answered".to_owned()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    Finding::need("call", "a call", here, "through shared memory")
}

async fn try_call() -> anyhow::Result<()> {
    let dir = PrivateDir::create()?;
    let server = Server::builder()
        .memory_options(|options| options.runtime_dir = Some(dir.path().to_owned()))
        .add_service(RouteGuideServer::new(Guide))
        .bind(ADDRESS)
        .await?;
    let place = places().first().context("no places")?;
    let ask = async {
        let channel = Endpoint::from_shared(ADDRESS)?
            .carrier(CarrierPolicy::Require)
            .memory_options(|options| options.runtime_dir = Some(dir.path().to_owned()))
            .connect()
            .await?;
        let point = Point::from(place);
        let answer = RouteGuideClient::new(channel).get_feature(point).await?;
        let name = answer.into_inner().name;
        ensure!(name == place.name, "the answer was {name:?}");
        Ok(())
    };
    tokio::select! {
        answer = ask => answer,
        end = server.serve() => end.map_err(Into::into).and_then(|()| {
            anyhow::bail!("the server ended before it answered")
        }),
    }
}
