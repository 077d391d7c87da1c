//! The life of a session.

use std::time::Duration;

use crate::testing::Calls;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::{Scene, same};

pub(super) async fn journey(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    visitor.get("/act/read").await?.is(200)?.says("0")?.issues_nothing()?;
    visitor.act("visit").await?.is(200)?.says("1")?.issues_id()?;
    visitor.act("visit").await?.is(200)?.says("2")?.issues_nothing()?;
    visitor.reads("verdict", "resumed").await?;
    visitor.act("login").await?.is(200)?.issues_id()?;
    visitor.reads("user", "bob").await?;
    visitor.reads("read", "2").await?;
    let logged_in = visitor.clone();
    visitor.act("logout").await?.is(200)?.removes_id()?;
    visitor.reads("user", "").await?;
    logged_in.reads("user", "").await?;
    logged_in.reads("read", "0").await
}

pub(super) async fn lazy(scene: &Scene) -> Check {
    for (visitor, whose) in [(scene.visitor(), "nobody's"), (scene.member().await?, "a member's")] {
        let answer = visitor.get("/plain").await?.is(200)?.says("plain")?;
        scene.costs(&format!("{whose} GET /plain"), Calls::default())?;
        answer
            .issues_nothing()?
            .holds(|answer| !answer.varies(), "it has a `Vary`")?
            .holds(|answer| !answer.is_no_store(), "it has `no-store`")?;
    }
    // An outage is none of its business.
    scene.faults.outage();
    scene.visitor().get("/plain").await?.is(200).map(drop)
}

pub(super) async fn loaded_once(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    visitor.get("/twice").await?.is(200)?.says("2")?;
    scene.costs("GET /twice", Calls { load: 1, replace: 1, ..Calls::default() })?;
    visitor.reads("read", "2").await
}

pub(super) async fn no_store(scene: &Scene) -> Check {
    let holds = |answer: Answer| answer.holds(Answer::is_no_store, "it has no `no-store` alone");
    let visitor = scene.visitor();
    holds(visitor.act("visit").await?.is(200)?.issues_id()?)?;
    holds(visitor.act("login").await?.is(200)?.issues_id()?)?;
    holds(visitor.act("rotate").await?.is(200)?.issues_id()?)?;
    holds(visitor.act("logout").await?.is(200)?.removes_id()?)?;
    // And without one there is nothing to hide from a cache.
    let read = visitor.get("/act/read").await?.is(200)?;
    read.holds(|answer| !answer.is_no_store(), "it has `no-store`").map(drop)
}

pub(super) async fn vary(scene: &Scene) -> Check {
    for visitor in [scene.visitor(), scene.guest().await?] {
        for action in ["read", "visit", "visit", "login", "logout"] {
            let answer = visitor.act(action).await?.is(200)?;
            answer.holds(Answer::varies, "it has no such `Vary`")?;
        }
    }
    Ok(())
}

pub(super) async fn removal(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    let set = attributes(&visitor.act("login").await?)?;
    let mut removed = attributes(&visitor.act("logout").await?.removes_id()?)?;
    let ends = removed.iter().position(|attribute| attribute == "max-age=0");
    ends.map(|place| removed.remove(place)).ok_or("the removal has no `Max-Age=0`")?;
    removed.retain(|attribute| !attribute.starts_with("expires="));
    same("attributes of the removal", &removed, &set)?;
    same("the browser's cookie", &visitor.shown(), &None)
}

/// The attributes of the one cookie that a response sets, in lower case and sorted.
fn attributes(answer: &Answer) -> Check<Vec<String>> {
    let lines = answer.values("set-cookie");
    let [line] = lines.as_slice() else {
        return Err(format!("{}: {} cookies, not one", answer.what, lines.len()));
    };
    let attributes = line.split(';').skip(1);
    let mut attributes: Vec<_> =
        attributes.map(|attribute| attribute.trim().to_ascii_lowercase()).collect();
    attributes.sort();
    Ok(attributes)
}

pub(super) async fn stay_signed_in(scene: &Scene) -> Check {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    let [goes, stays] = [scene.member().await?, scene.member().await?];
    let answer = stays.act("stay").await?.is(200)?.issues_id()?;
    let of_14_days = |answer: &Answer| {
        answer.values("set-cookie").iter().any(|line| line.contains("Max-Age=1209600"))
    };
    answer.holds(of_14_days, "its cookie has no `Max-Age` of 14 days")?;
    goes.browser.restart();
    stays.browser.restart();
    goes.reads("user", "").await?;
    scene.clock.advance(13 * DAY);
    // Used again, it is good for another 14 days.
    stays.reads("user", "bob").await?;
    scene.clock.advance(13 * DAY);
    stays.reads("user", "bob").await
}

pub(super) async fn old_cookie(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let old = visitor.clone();
    visitor.act("login").await?.is(200)?.issues_id()?;
    old.get("/act/user").await?.is(200)?.says("")?.issues_nothing()?;
    old.get("/act/read").await?.is(200)?.says("0")?.issues_nothing()?;
    old.act("visit").await?.is(409)?.issues_nothing()?;
    old.act("logout").await?.is(409)?.issues_nothing()?;
    // However the handler answers.
    for answer in [old.post("/fail").await?, old.post("/redirect").await?] {
        answer.is(409)?.issues_nothing()?;
    }
    for answer in [old.get("/cookies").await?, old.get("/stream").await?] {
        answer.is(409)?.issues_nothing()?;
    }
    visitor.reads("user", "bob").await?;
    visitor.reads("read", "1").await
}
