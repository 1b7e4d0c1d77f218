//! Services that several themes use.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use nowire_interop::proto::testing::SimpleResponse;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Response, Status};

use super::carrier::soon;
use super::payload::down;
use super::script::{Down, Event, Guard, Reporter, Script};

/// A service that gives each request's payload back.
pub(crate) fn echo() -> Script {
    Script::default().unary(|request| async move {
        Ok(Response::new(SimpleResponse {
            payload: request.into_inner().payload,
            ..SimpleResponse::default()
        }))
    })
}

/// A service whose unary call never answers and tells what becomes of it.
pub(crate) fn sleeper() -> (Script, mpsc::UnboundedReceiver<Event>) {
    let (reporter, events) = Reporter::new();
    let script = Script::default().unary(move |_| {
        let guard = reporter.start();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    (script, events)
}

/// A service whose streams say one thing, then nothing, and tell what becomes of them.
pub(crate) fn murmur() -> (Script, mpsc::UnboundedReceiver<Event>) {
    let (reporter, events) = Reporter::new();
    let other = reporter.clone();
    let say = |guard: Guard| {
        let first = stream::once(async { Ok(down("first")) });
        let rest = stream::pending().map(move |never: Status| {
            let _held = &guard;
            Err(never)
        });
        Response::new(Box::pin(first.chain(rest)) as Down)
    };
    let script = Script::default()
        .down(move |_| {
            let guard = reporter.start();
            async move { Ok(say(guard)) }
        })
        .both(move |_| {
            let guard = other.start();
            async move { Ok(say(guard)) }
        });
    (script, events)
}

/// A service whose unary call waits for a permit and tells what becomes of it.
pub(crate) fn gated() -> (Script, mpsc::UnboundedReceiver<Event>, Arc<Semaphore>) {
    let (reporter, events) = Reporter::new();
    let permits = Arc::new(Semaphore::new(0));
    let gate = permits.clone();
    let script = Script::default().unary(move |request| {
        let (guard, gate) = (reporter.start(), gate.clone());
        async move {
            let _guard = guard;
            gate.acquire().await.expect("the gate stays").forget();
            Ok(Response::new(SimpleResponse {
                payload: request.into_inner().payload,
                ..SimpleResponse::default()
            }))
        }
    });
    (script, events, permits)
}

pub(crate) async fn expect_event(events: &mut mpsc::UnboundedReceiver<Event>, expected: Event) {
    let event = soon("an event of the handler", events.recv()).await;
    assert_eq!(event, Some(expected));
}
