//! Handlers for who is logged in, and for nobody else.

use std::time::Duration;

use http::header::HeaderName;

use super::failures::OUTAGE;
use crate::testing::Calls;
use crate::testing::adapter::carrier::Carrier;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::{Scene, Visitor, same};

/// Asks with a `Sec-Fetch-Mode`, or without.
async fn ask(visitor: &Visitor<'_>, method: &str, path: &str, mode: &str) -> Check<Answer> {
    let mut ask = visitor.request(method, path);
    if !mode.is_empty() {
        ask.fields.push((HeaderName::from_static("sec-fetch-mode"), mode.as_bytes().to_vec()));
    }
    visitor.scene.ask(&ask).await
}

/// Checks what every refusal has.
fn refused(answer: Answer, status: u16, location: &[&str], sentence: &str) -> Check<Answer> {
    let answer = answer
        .is(status)?
        .issues_nothing()?
        .holds(Answer::is_no_store, "it has no `no-store`")?
        .holds(Answer::varies, "it has no such `Vary`")?;
    let expected: Vec<_> = location.iter().map(ToString::to_string).collect();
    same(&format!("{}: `Location`", answer.what), &answer.values("location"), &expected)?;
    if sentence.is_empty() { Ok(answer) } else { answer.says(sentence) }
}

/// Checks that it is a 401 that says so.
fn is_401(scene: &Scene, answer: Answer, challenge: &str) -> Check {
    let sentence = if scene.sentences { "Please log in." } else { "" };
    let answer = refused(answer, 401, &[], sentence)?;
    let expected = match scene.shop {
        Carrier::Bearer => vec![challenge.to_owned()],
        Carrier::Cookie(_) | Carrier::Header(_) => Vec::new(),
    };
    same(
        &format!("{}: `WWW-Authenticate`", answer.what),
        &answer.values("www-authenticate"),
        &expected,
    )
}

const CHALLENGE: &str = "Bearer realm=\"session\"";
const INVALID: &str = "Bearer realm=\"session\", error=\"invalid_token\"";
const STALE: &str =
    "Bearer realm=\"session\", error=\"insufficient_user_authentication\", max_age=\"300\"";
const LOADED: Calls = Calls { load: 1, ..NONE };
const NONE: Calls =
    Calls { load: 0, insert: 0, replace: 0, touch: 0, end: 0, sessions_of: 0, remove_expired: 0 };

pub(super) async fn guarded(scene: &Scene) -> Check {
    let nobody = scene.visitor();
    is_401(scene, ask(&nobody, "POST", "/members", "").await?, CHALLENGE)?;
    is_401(scene, ask(&nobody, "GET", "/members", "cors").await?, CHALLENGE)?;
    scene.costs("a guard without an id", NONE)?;
    let guest = scene.guest().await?;
    is_401(scene, ask(&guest, "POST", "/members", "").await?, CHALLENGE)?;
    scene.costs("a guard that refuses", LOADED)?;
    guest.reads("read", "1").await?;

    let old = guest.clone();
    guest.act("login").await?.is(200)?;
    guest.post("/members").await?.is(200)?.says("2")?.issues_nothing()?;
    guest.get("/members").await?.is(200)?.says("3")?;
    scene.spied.take();
    is_401(scene, ask(&old, "POST", "/members", "").await?, INVALID)?;
    scene.costs("a guard and an id that is superseded", LOADED)?;
    guest.reads("read", "3").await?;
    guest.act("logout").await?.is(200)?;
    is_401(scene, ask(&scene.visitor().with("no-id"), "POST", "/members", "").await?, INVALID)
}

pub(super) async fn login_page(scene: &Scene) -> Check {
    let guest = scene.guest().await?;
    let navigations = [("GET", ""), ("GET", "navigate"), ("POST", "navigate")];
    for (method, mode) in navigations {
        let answer = ask(&guest, method, "/members", mode).await?;
        if scene.shop.is_cookie() {
            refused(answer, 303, &["/login"], "")?;
        } else {
            is_401(scene, answer, CHALLENGE)?;
        }
    }
    for (method, mode) in [("GET", "cors"), ("GET", "websocket"), ("POST", ""), ("POST", "cors")] {
        is_401(scene, ask(&guest, method, "/members", mode).await?, CHALLENGE)?;
    }
    guest.reads("read", "1").await
}

pub(super) async fn fresh(scene: &Scene) -> Check {
    let member = scene.member().await?;
    member.get("/fresh").await?.is(200)?.says("2")?;
    scene.clock.advance(Duration::from_secs(300));
    member.get("/members").await?.is(200)?.says("3")?;
    scene.spied.take();
    let answer = ask(&member, "GET", "/fresh", "navigate").await?;
    if scene.shop.is_cookie() {
        refused(answer, 303, &["/confirm"], "")?;
    } else {
        let challenges = answer.values("www-authenticate");
        refused(
            answer,
            401,
            &[],
            if scene.sentences { "Please confirm who you are." } else { "" },
        )?;
        let expected = if scene.shop == Carrier::Bearer { vec![STALE.to_owned()] } else { vec![] };
        same("`WWW-Authenticate`", &challenges, &expected)?;
    }
    scene.costs("a guard that finds a login too old", LOADED)?;
    refused(ask(&member, "POST", "/fresh", "").await?, 401, &[], "")?;
    member.act("reauthenticate").await?.is(200)?.issues_id()?;
    member.post("/fresh").await?.is(200)?.says("4").map(drop)
}

pub(super) async fn outage(scene: &Scene) -> Check {
    let member = scene.member().await?;
    scene.faults.outage();
    for path in ["/members", "/fresh"] {
        for (method, mode) in [("GET", "navigate"), ("GET", ""), ("POST", "")] {
            let sentence = if scene.sentences { OUTAGE } else { "" };
            let answer = ask(&member, method, path, mode).await?;
            let answer = refused(answer, 503, &[], sentence)?;
            same("`WWW-Authenticate`", &answer.values("www-authenticate"), &Vec::new())?;
        }
    }
    scene.faults.clear();
    member.get("/members").await?.is(200)?.says("2").map(drop)
}
