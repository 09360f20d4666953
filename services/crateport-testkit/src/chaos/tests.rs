//! The proxy between a bare client and a scripted upstream.

use super::*;
use crate::client::{Client, Ending, RawAnswer, RawRequest};
use crate::krate::{KIB, Published, krate};
use crate::upstream::{On, ScriptedUpstream};

const SHORT: Duration = Duration::from_millis(300);

struct Scene {
    upstream: ScriptedUpstream,
    proxy: ChaosProxy,
    published: Published,
    url: String,
}

async fn scene() -> Scene {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("a", "1.0.0").payload(40 * KIB).publish(&upstream);
    let proxy = ChaosProxy::in_front_of(upstream.address()).await;
    let url = format!("{}{}", proxy.url(), upstream.crate_path("a", "1.0.0"));
    Scene { upstream, proxy, published, url }
}

impl Scene {
    async fn ask(&self, patience: Duration) -> RawAnswer {
        RawRequest::get(&self.url).patience(patience).send().await
    }
}

#[tokio::test]
async fn each_mode_does_as_it_is_named_and_passing_heals() {
    let scene = scene().await;
    let whole = scene.published.bytes.len();
    let long = Duration::from_secs(20);
    let table = [
        (Mode::Refuse, long, Ending::Refused, 0..=0),
        (Mode::Reset, long, Ending::Reset, 0..=0),
        (Mode::Stall, SHORT, Ending::Silent, 0..=0),
        (Mode::CutAfter(0), long, Ending::ClosedEarly, 0..=0),
        (Mode::CutAfter(1000), long, Ending::ClosedEarly, 1000..=1000),
        (Mode::Throttle(2000), SHORT, Ending::Silent, 1..=whole / 2),
        (Mode::Delay(Duration::from_secs(60)), SHORT, Ending::Silent, 0..=0),
    ];
    for (mode, patience, ending, wire_bytes) in table {
        scene.proxy.set(mode);
        let answer = scene.ask(patience).await;
        assert_eq!(answer.ending, ending, "{mode:?}");
        assert!(wire_bytes.contains(&answer.wire.len()), "{mode:?}: {} bytes", answer.wire.len());
        scene.proxy.set(Mode::Pass);
        assert_eq!(scene.ask(long).await.body, scene.published.bytes, "after {mode:?}");
    }
}

#[tokio::test]
async fn a_stalled_connection_goes_on_where_it_stood() {
    let scene = scene().await;
    let gate = scene.upstream.hold_after(On::Crates, 1000);
    let mut answer = Client::h1().get(&scene.url).open().await;
    answer.first_byte().await.unwrap();
    gate.wait_for(1).await;
    scene.proxy.set(Mode::Stall);
    gate.release();
    let rest = tokio::spawn(answer.rest());
    tokio::time::sleep(SHORT).await;
    assert!(!rest.is_finished());
    scene.proxy.set(Mode::Pass);
    assert_eq!(rest.await.unwrap().unwrap(), scene.published.bytes);
    assert_eq!((scene.proxy.connections(), scene.upstream.connections()), (1, 1));
}

#[tokio::test]
async fn live_connections_are_cut_and_reset() {
    let scene = scene().await;
    for cut in [ChaosProxy::cut_all, |proxy: &ChaosProxy| proxy.set(Mode::Reset)] {
        let gate = scene.upstream.hold_after(On::Crates, 1000);
        let mut answer = Client::h1().get(&scene.url).open().await;
        answer.first_byte().await.unwrap();
        assert_eq!(scene.proxy.live_connections(), 1);
        cut(&scene.proxy);
        assert!(answer.rest().await.is_err());
        drop(gate);
        scene.proxy.set(Mode::Pass);
    }
}
