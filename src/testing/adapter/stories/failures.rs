//! Stores that fail, and changes that are lost.

use crate::testing::Calls;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::Scene;

pub(super) const OUTAGE: &str = "Sessions are not available at the moment. Please try again.";
const LOST: &str = "Your session was changed elsewhere, and this change was not kept. \
    Please reload and try again.";

/// Checks what every failure has: its status, no cookie, and not a word for a cache.
fn fails(answer: Answer, status: u16) -> Check<Answer> {
    answer
        .is(status)?
        .issues_nothing()?
        .holds(Answer::is_no_store, "it has no `no-store`")?
        .holds(Answer::varies, "it has no such `Vary`")
}

pub(super) async fn outage_of_load(scene: &Scene) -> Check {
    let member = scene.member().await?;
    scene.faults.outage();
    for action in ["read", "visit", "login", "logout"] {
        let answer = fails(member.act(action).await?, 503)?;
        if scene.sentences {
            answer.says(OUTAGE)?;
        }
    }
    scene.faults.clear();
    member.reads("user", "bob").await?;
    member.reads("read", "1").await
}

pub(super) async fn outage_of_commit(scene: &Scene) -> Check {
    let [nobody, guest, member] = [scene.visitor(), scene.guest().await?, scene.member().await?];
    scene.commits_fail();
    for visitor in [&nobody, &guest, &member] {
        for path in ["/act/visit", "/act/switch", "/fail"] {
            fails(visitor.post(path).await?, 503)?.says(OUTAGE)?;
        }
    }
    for visitor in [&nobody, &guest] {
        fails(visitor.post("/redirect").await?, 503)?.says(OUTAGE)?;
    }
    for visitor in [&guest, &member] {
        fails(visitor.act("logout").await?, 503)?.says(OUTAGE)?;
    }
    // What only reads needs no commit.
    guest.reads("read", "1").await?;
    scene.faults.clear();
    guest.reads("read", "1").await?;
    guest.reads("user", "").await?;
    member.reads("user", "bob").await?;
    nobody.get("/act/read").await?.is(200)?.says("0")?.issues_nothing().map(drop)
}

pub(super) async fn lost_change(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let other = visitor.clone();
    let logout = async { other.act("logout").await?.is(200)?.removes_id() };
    let (lost, _) = scene.meanwhile(visitor.post("/slow"), logout).await?;
    scene.costs("the change and the logout", Calls { load: 2, replace: 2, ..Calls::default() })?;
    fails(lost, 409)?.says(LOST)?;
    visitor.reads("read", "0").await?;
    // Another change meanwhile is no reason to lose it.
    let visitor = scene.guest().await?;
    let visits = async {
        visitor.act("visit").await?.is(200)?.says("2")?;
        visitor.act("visit").await?.is(200)?.says("3")
    };
    let (kept, _) = scene.meanwhile(visitor.post("/slow"), visits).await?;
    scene.costs("three changes", Calls { load: 3, replace: 4, ..Calls::default() })?;
    kept.is(200)?.says("kept")?.issues_nothing()?;
    // Undisturbed, it is kept.
    let visitor = scene.guest().await?;
    let (kept, ()) = scene.meanwhile(visitor.post("/slow"), async { Ok(()) }).await?;
    kept.is(200)?.says("kept")?.issues_nothing()?;
    visitor.reads("read", "2").await
}

pub(super) async fn errors_of_handlers(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    visitor.act("transact").await?.is(200)?.says("2")?;
    visitor.act("commit").await?.is(200)?.says("3")?;
    scene.commits_fail();
    visitor.act("transact").await?.is(503)?.says(OUTAGE)?.issues_nothing()?;
    visitor.act("commit").await?.is(503)?.says(OUTAGE)?.issues_nothing()?;
    scene.faults.clear();
    visitor.reads("read", "3").await?;
    let old = visitor.clone();
    visitor.act("login").await?.is(200)?;
    old.act("commit").await?.is(409)?.says(LOST)?.issues_nothing().map(drop)
}
