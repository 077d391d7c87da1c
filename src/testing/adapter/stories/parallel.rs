//! Requests at the same time.

use futures_util::future::join;

use crate::testing::adapter::carrier::Issued;
use crate::testing::adapter::client::{Answer, Check, Connection};
use crate::testing::adapter::scene::{Scene, Visitor, same};
use crate::testing::adapter::stage::Also;

pub(super) async fn logins(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let windows = [visitor.clone(), visitor];
    scene.stage.visits_do(Also::Login);
    let answers = both(scene, &windows).await?;
    scene.stage.visits_do(Also::Nothing);
    let mut statuses = answers.each_ref().map(|answer| answer.status);
    statuses.sort_unstable();
    same("two logins at the same time", &statuses, &[200, 409])?;
    for (answer, window) in answers.into_iter().zip(&windows) {
        match answer.status {
            200 => {
                answer.issues_id()?;
                window.reads("user", "bob").await?;
            }
            _ => {
                answer.issues_nothing()?;
                window.reads("user", "").await?;
            }
        }
    }
    Ok(())
}

/// Lets both make the slow request, and go on together.
async fn both(scene: &Scene, [one, other]: &[Visitor<'_>; 2]) -> Check<[Answer; 2]> {
    let arrivals = scene.stage.arrivals();
    let release = async {
        let arrived = scene.stage.until_arrived(arrivals + 2);
        let arrived = scene.limit.on("the pause of both", arrived).await;
        scene.stage.release();
        arrived
    };
    let asked = join(one.post("/slow"), other.post("/slow"));
    let ((one, other), arrived) = join(asked, release).await;
    arrived?;
    Ok([one?, other?])
}

pub(super) async fn logouts(scene: &Scene) -> Check {
    let member = scene.member().await?;
    let windows = [member.clone(), member.clone()];
    scene.stage.visits_do(Also::Logout);
    let answers = both(scene, &windows).await?;
    scene.stage.visits_do(Also::Nothing);
    for answer in answers {
        answer.is(200)?.removes_id()?;
    }
    member.reads("user", "").await?;
    member.reads("verdict", "ended: logged out").await
}

pub(super) async fn one_connection(scene: &Scene) -> Check {
    let visitors = [scene.member().await?, scene.guest().await?, scene.visitor()];
    let says = ["bob", "", ""];
    let mut connection = scene.connect().await?;
    for _ in 0..3 {
        for (visitor, user) in visitors.iter().zip(says) {
            let answer;
            (answer, connection) = on(connection, visitor, "GET", "/act/user").await?;
            answer.is(200)?.says(user)?.issues_nothing()?;
        }
    }
    let [member, guest, nobody] = &visitors;
    if let Some(beside) = connection.beside() {
        let slow = on(beside, guest, "POST", "/slow");
        let quick = async {
            let (answer, connection) = on(connection, member, "POST", "/act/visit").await?;
            answer.is(200)?.says("2")?.issues_nothing()?;
            let (answer, _) = on(connection, nobody, "POST", "/act/visit").await?;
            answer.is(200)?.says("1")?.issues_id()
        };
        let ((slow, _), quick) = scene.meanwhile(slow, quick).await?;
        slow.is(200)?.says("kept")?.issues_nothing()?;
        let ids = [quick.issued()?, Issued::Id(guest.shown().unwrap_or_default())];
        if ids[0] == ids[1] {
            return Err("two visitors were given one id".to_owned());
        }
        guest.reads("read", "2").await?;
    }
    Ok(())
}

/// Sends a visitor's request on this connection.
async fn on(
    mut connection: Connection,
    visitor: &Visitor<'_>,
    method: &str,
    path: &str,
) -> Check<(Answer, Connection)> {
    let ask = visitor.request(method, path);
    let response = connection.send(&ask).await?;
    visitor.scene.open(&ask, response, connection).rest_and_connection().await
}
