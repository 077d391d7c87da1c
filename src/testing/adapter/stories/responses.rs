//! Responses of all kinds.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::header::LOCATION;

use crate::testing::Calls;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::{Scene, Visitor, same};
use crate::testing::adapter::stage::Also;

pub(super) async fn own_headers(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    let first = visitor.get("/cookies").await?.is(200)?.says("1")?.issues_id()?;
    let second = visitor.get("/cookies").await?.is(200)?.says("2")?.issues_nothing()?;
    for answer in [first, second] {
        let lines = answer.values("set-cookie");
        let theirs = lines.iter().filter(|line| line.starts_with("theme=dark")).count();
        same("cookies `theme=dark`", &theirs, &1)?;
        answer
            .holds(|answer| answer.varies_by("accept"), "the handler's `Vary: Accept` is gone")?
            .holds(Answer::varies, "it has no such `Vary`")?;
    }
    Ok(())
}

pub(super) async fn error_response(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    visitor.post("/fail").await?.is(500)?.issues_id()?;
    visitor.reads("read", "1").await?;
    visitor.post("/fail").await?.is(500)?.issues_nothing()?;
    visitor.reads("read", "2").await?;
    // A login whose page fails to be made: without its cookie the client would be locked out.
    let old = visitor.clone();
    scene.stage.visits_do(Also::Login);
    visitor.post("/fail").await?.is(500)?.issues_id()?;
    visitor.reads("user", "bob").await?;
    old.reads("user", "").await
}

pub(super) async fn not_found(scene: &Scene) -> Check {
    for visitor in [scene.visitor(), scene.member().await?] {
        visitor.get("/nowhere").await?.is(404)?.issues_nothing()?;
        scene.costs("GET /nowhere", Calls::default())?;
    }
    Ok(())
}

pub(super) async fn redirect(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let answer = visitor.post("/redirect").await?.issues_id()?;
    let location = answer.headers.get(LOCATION).map(|value| value.as_bytes().to_vec());
    answer
        .holds(|answer| (300..400).contains(&answer.status), "it is no redirect")?
        .holds(|_| location.is_some_and(|to| to.ends_with(b"/act/read")), "it leads elsewhere")?;
    visitor.reads("user", "bob").await?;
    visitor.reads("read", "1").await
}

pub(super) async fn panic(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    for _ in 0..2 {
        // The connection may be closed instead.
        if let Ok(answer) = visitor.post("/panic").await {
            answer.is(500)?.issues_nothing()?;
        }
        scene.costs("POST /panic", Calls { load: 1, ..Calls::default() })?;
    }
    visitor.act("visit").await?.is(200)?.says("2")?;
    let nobody = scene.visitor();
    scene.spied.take();
    if let Ok(answer) = nobody.post("/panic").await {
        answer.is(500)?.issues_nothing()?;
    }
    scene.costs("nobody's POST /panic", Calls::default())
}

pub(super) async fn stream(scene: &Scene) -> Check {
    streams(scene, "/stream").await
}

async fn streams(scene: &Scene, path: &str) -> Check {
    let visitor = scene.visitor();
    let arrivals = scene.stage.arrivals();
    let open = visitor.start("GET", path).await?;
    open.head.clone().is(200)?.issues_id()?;
    scene.costs(path, Calls { insert: 1, ..Calls::default() })?;
    // The second half is not there yet, and the session is.
    scene.limit.on("the pause of the stream", scene.stage.until_arrived(arrivals + 1)).await?;
    visitor.reads("read", "1").await?;
    scene.stage.release();
    open.rest().await?.says("ab")?;
    visitor.reads("read", "1").await
}

pub(super) async fn committed_stream(scene: &Scene) -> Check {
    streams(scene, "/committed").await?;
    let visitor = scene.guest().await?;
    scene.commits_fail();
    visitor.get("/committed").await?.is(503)?.issues_nothing()?;
    scene.faults.clear();
    visitor.reads("read", "1").await
}

pub(super) async fn hang_up(scene: &Scene) -> Check {
    for also in [Also::Nothing, Also::Login] {
        let visitor = scene.guest().await?;
        scene.stage.visits_do(also);
        leave(&visitor).await?;
        scene.stage.visits_do(Also::Nothing);
        // Frameworks may stop the handler, or let it come to its end.
        let stopped = tokio::time::timeout(GRACE, scene.stage.until_empty()).await.is_ok();
        visitor.get("/plain").await?.is(200)?;
        // If a login is kept, its new id is lost with the response.
        let kept = if also == Also::Login { "0" } else { "2" };
        let mut seen = visitor.get("/act/read").await?.is(200)?.body;
        if !stopped {
            scene.stage.release();
            for _ in 0..5 {
                if seen == kept {
                    break;
                }
                tokio::time::sleep(GRACE).await;
                seen = visitor.get("/act/read").await?.is(200)?.body;
            }
        }
        // As a whole or not at all.
        if seen != "1" && (stopped || seen != kept) {
            return Err(format!("after a client hung up, the session has {seen} visits"));
        }
        visitor.reads("user", "").await?;
    }
    // In the middle of a body: what was stored before it is stored.
    let visitor = scene.guest().await?;
    let arrivals = scene.stage.arrivals();
    let open = visitor.start("GET", "/stream").await?;
    scene.limit.on("the pause of the stream", scene.stage.until_arrived(arrivals + 1)).await?;
    drop(open);
    visitor.reads("read", "2").await?;
    scene.stage.release();
    visitor.act("visit").await?.is(200)?.says("3").map(drop)
}

/// Makes the slow request, and hangs up while the handler is in its pause.
async fn leave(visitor: &Visitor<'_>) -> Check {
    let scene = visitor.scene;
    let request = visitor.request("POST", "/slow");
    let arrivals = scene.stage.arrivals();
    let sent = pin!(scene.start(&request));
    let arrived = pin!(scene.stage.until_arrived(arrivals + 1));
    match scene.limit.on("the handler's pause", select(sent, arrived)).await? {
        Either::Left((Err(seen), _)) => Err(seen),
        Either::Left((Ok(_), _)) => Err("POST /slow: a response before its time".to_owned()),
        // The request is dropped here, and its connection with it.
        Either::Right(((), _)) => Ok(()),
    }
}

/// How long a framework has to notice that a client is gone.
const GRACE: Duration = Duration::from_millis(300);
