//! Several layers, and none.

use crate::testing::Calls;
use crate::testing::adapter::carrier::Issued;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::{Scene, same};

pub(super) async fn two(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    let first = visitor.get("/both").await?.is(200)?.says("1")?;
    for carrier in [scene.shop, scene.theme] {
        match carrier.issued(&first)? {
            Issued::Id(_) => {}
            other => return Err(format!("GET /both: {other:?} for {carrier:?}, and no new id")),
        }
    }
    // Each layer has set its own, and `no-store` has not become a list.
    let first = first.holds(Answer::is_no_store, "it has no `no-store` alone")?;
    let first = first.holds(Answer::varies, "it has no such `Vary`")?;
    let other = scene.theme.request_header();
    first.holds(|first| first.varies_by(other.as_str()), "it has no `Vary` of the other layer")?;
    let second = visitor.get("/both").await?.is(200)?.says("2")?.issues_nothing()?;
    same("the other id at the second visit", &scene.theme.issued(&second)?, &Issued::Nothing)?;
    let out = visitor.act("logout").await?.is(200)?.removes_id()?;
    same("the other id at the logout", &scene.theme.issued(&out)?, &Issued::Nothing)?;
    let third = visitor.get("/both").await?.is(200)?.says("1")?.issues_id()?;
    same("the other id after the logout", &scene.theme.issued(&third)?, &Issued::Nothing)
}

pub(super) async fn nested(scene: &Scene) -> Check {
    let visitor = scene.visitor();
    visitor.get("/nested/act/read").await?.is(200)?.says("0")?.issues_nothing()?;
    scene.costs("a nested read", Calls::default())?;
    visitor.post("/nested/act/visit").await?.is(200)?.says("1")?.issues_id()?;
    scene.costs("a nested first write", Calls { insert: 1, ..Calls::default() })?;
    visitor.post("/nested/act/visit").await?.is(200)?.says("2")?.issues_nothing()?;
    scene.costs("a nested write", Calls { load: 1, replace: 1, ..Calls::default() })?;
    visitor.reads("read", "2").await?;
    visitor.post("/nested/act/login").await?.is(200)?.issues_id()?;
    visitor.reads("user", "bob").await?;
    visitor.post("/nested/act/logout").await?.is(200)?.removes_id()?;
    visitor.reads("user", "").await
}

pub(super) async fn missing(scene: &Scene) -> Check {
    let answer = scene.visitor().get("/missing").await?.is(500)?.issues_nothing()?;
    let explains = |body: &str| body.contains("SessionLayer::<YourData, _>::new(store)");
    if scene.sentences {
        answer.holds(|answer| explains(&answer.body), "it does not say what to do")?;
    }
    // The application lives on.
    scene.guest().await.map(drop)
}
