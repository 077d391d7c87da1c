//! Where requests come from.

use http::header::{CONNECTION, HOST, HeaderName, ORIGIN, UPGRADE};

use crate::testing::Calls;
use crate::testing::adapter::client::{Answer, Ask, Check, Protocol};
use crate::testing::adapter::scene::{Scene, Visitor};

const REFUSED: &str = "This request was made by a page of another site, and was refused. \
    Sites that may make such requests must be trusted by the server.";

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Says of a request of this visitor where it comes from.
fn ask<'r>(
    visitor: &Visitor<'_>,
    method: &'r str,
    path: &'r str,
    says: &[(HeaderName, &str)],
) -> Ask<'r> {
    let mut ask = visitor.request(method, path);
    ask.fields.extend(says.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())));
    ask
}

fn is_refused(answer: Answer) -> Check<Answer> {
    answer
        .is(403)?
        .says(REFUSED)?
        .holds(|answer| answer.values("set-cookie").is_empty(), "a refusal sets no cookie")?
        .issues_nothing()
}

pub(super) async fn others(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let evil = (ORIGIN, "https://evil.example");
    for says in [
        vec![(SITE, "cross-site"), evil.clone()],
        vec![(SITE, "same-site"), (ORIGIN, "http://www.127.0.0.1")],
        vec![(SITE, "cross-site")],
        vec![(SITE, "same-origin"), (SITE, "same-origin")],
        vec![evil.clone()],
        vec![(ORIGIN, "null")],
        vec![(ORIGIN, "http://127.0.0.1:81")],
    ] {
        let ask = ask(&visitor, "POST", "/act/visit", &says);
        let told = async {
            let answer = scene.ask(&ask).await?;
            // What no browser adds by itself, no other site can have added.
            if scene.shop.is_cookie() || scene.theme.is_cookie() {
                is_refused(answer)?;
                scene.costs("a refused request", Calls::default())
            } else {
                answer.is(200)?;
                scene.spied.take();
                Ok(())
            }
        };
        told.await.map_err(|seen| format!("with {says:?}: {seen}"))?;
    }
    if scene.shop.is_cookie() {
        visitor.reads("read", "1").await?;
        // A login of the attacker's is one, too.
        let says = [(SITE, "cross-site")];
        let fields = ask(&scene.visitor(), "POST", "/redirect", &says).fields;
        is_refused(scene.ask(&Ask { method: "POST", path: "/redirect", fields }).await?)?;
    }
    // Whose handler does not ask for the session; and a WebSocket begins as a `GET`.
    if scene.protocol() == Protocol::Http1 && scene.theme.is_cookie() {
        let says = [(CONNECTION, "upgrade"), (UPGRADE, "WebSocket"), evil];
        is_refused(scene.ask(&ask(&visitor, "GET", "/plain", &says)).await?)?;
    }
    Ok(())
}

pub(super) async fn own(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let here = (ORIGIN, "http://127.0.0.1");
    let visits = [
        vec![(SITE, "same-origin"), here.clone()],
        vec![(SITE, "same-origin"), (ORIGIN, "null")],
        vec![(SITE, "none")],
        vec![here],
        vec![(ORIGIN, "http://127.0.0.1:80")],
        vec![],
    ];
    for (count, says) in (2..).zip(&visits) {
        let answer = scene.ask(&ask(&visitor, "POST", "/act/visit", says)).await;
        let told = answer.and_then(|answer| answer.is(200)?.says(&count.to_string()));
        told.map_err(|seen| format!("with {says:?}: {seen}"))?;
    }
    // To read is no harm: a link on another page.
    let says = [(SITE, "cross-site"), (ORIGIN, "https://evil.example")];
    scene.ask(&ask(&visitor, "GET", "/act/read", &says)).await?.is(200)?.says("7")?;
    scene.ask(&ask(&visitor, "GET", "/plain", &says)).await?.is(200)?.says("plain")?;
    // The host is the one that the request was sent to, and no other field's.
    if scene.protocol() == Protocol::Http1 && scene.shop.is_cookie() {
        let says = [(HOST, "evil.example"), (ORIGIN, "https://evil.example")];
        let answer = scene.ask(&ask(&visitor, "POST", "/act/visit", &says)).await;
        // Two fields `Host` are no request at all for most servers.
        let says_so = |answer: &Answer| (400..500).contains(&answer.status);
        answer?.holds(says_so, "with two hosts it is no success")?;
    }
    Ok(())
}
