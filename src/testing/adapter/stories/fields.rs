//! The header fields of requests.

use http::header::COOKIE;

use crate::testing::Calls;
use crate::testing::adapter::carrier::Carrier;
use crate::testing::adapter::client::{Ask, Check, TIMEOUT};
use crate::testing::adapter::scene::{Scene, Visitor};

/// Checks that a member with these `Cookie` fields is known, and left alone.
async fn knows(scene: &Scene, fields: &[Vec<u8>]) -> Check {
    let shown = || {
        let fields = fields.iter().map(|field| field.escape_ascii().to_string());
        format!("with `Cookie` fields {:?}", fields.collect::<Vec<_>>())
    };
    let fields = fields.iter().map(|field| (COOKIE, field.clone())).collect();
    let ask = Ask { method: "GET", path: "/act/user", fields };
    let known = async { scene.ask(&ask).await?.is(200)?.says("bob")?.issues_nothing() };
    known.await.map(drop).map_err(|seen| format!("{}: {seen}", shown()))
}

fn good(visitor: &Visitor<'_>) -> Check<String> {
    visitor.shown().ok_or_else(|| "the client got no id".to_owned())
}

pub(super) async fn tossing(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let good = good(&member)?;
    let bad = [scene.shop.shows("planted"), scene.shop.shows(&"A".repeat(43))];
    for place in 0..=bad.len() {
        let mut cookies = bad.to_vec();
        cookies.insert(place, good.clone());
        knows(scene, &[cookies.join("; ").into_bytes()]).await?;
        let fields: Vec<_> = cookies.into_iter().map(String::into_bytes).collect();
        knows(scene, &fields).await?;
    }
    Ok(())
}

pub(super) async fn several(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let good = good(&member)?;
    for place in 0..3 {
        let mut fields = vec![b"a=1; b=2".to_vec(), b"c=3".to_vec()];
        fields.insert(place, good.clone().into_bytes());
        knows(scene, &fields).await?;
    }
    Ok(())
}

pub(super) async fn bytes(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let good = good(&member)?.into_bytes();
    let odd: [&[u8]; 4] = [b"caf\xe9=1", b"a=\xff\xfe", b"a=\"x", b"=; ;;caf\xc3\xa9"];
    for odd in odd {
        knows(scene, &[[odd, b"; ", &good].concat()]).await?;
        knows(scene, &[[&good, &b"; "[..], odd].concat()]).await?;
        knows(scene, &[odd.to_vec(), good.clone()]).await?;
    }
    Ok(())
}

pub(super) async fn long(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let good = good(&member)?;
    let field = format!("a={}; {good}", "x".repeat(64 << 10)).into_bytes();
    let ask = Ask { method: "GET", path: "/act/user", fields: vec![(COOKIE, field)] };
    // A server that closes the connection refuses, too; one that is silent is broken.
    match scene.ask(&ask).await {
        Err(seen) if seen.contains(TIMEOUT) => return Err(seen),
        Err(_) => {}
        Ok(answer) if answer.status == 200 => {
            answer.says("bob")?.issues_nothing()?;
        }
        Ok(answer) => {
            answer
                .holds(|answer| (400..500).contains(&answer.status), "neither read nor refused")?
                .issues_nothing()?;
        }
    }
    member.reads("user", "bob").await
}

pub(super) async fn other_transports(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let id = scene.shop.id(&good(&member)?).to_owned();
    let others = [Carrier::Cookie("__Host-session"), Carrier::Bearer, Carrier::Header("x-session")];
    for carrier in others.into_iter().filter(|carrier| *carrier != scene.shop) {
        let fields = vec![(carrier.request_header(), carrier.shows(&id).into_bytes())];
        let what = format!("with the id as {carrier:?}");
        let ask = Ask { method: "GET", path: "/act/user", fields };
        scene.ask(&ask).await?.is(200)?.says("")?.issues_nothing()?;
        scene.costs(&what, Calls::default())?;
        // Beside the good one, it is none of the session's business.
        let mut fields = member.fields();
        fields.push((carrier.request_header(), carrier.shows("planted").into_bytes()));
        let ask = Ask { method: "GET", path: "/act/user", fields };
        scene.ask(&ask).await?.is(200)?.says("bob")?.issues_nothing()?;
        scene.spied.take();
    }
    Ok(())
}
