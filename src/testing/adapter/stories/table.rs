//! The table "What each request costs and causes" of the crate's front page.

use std::time::Duration;

use crate::testing::Calls;
use crate::testing::adapter::carrier::Issued;
use crate::testing::adapter::client::{Answer, Check};
use crate::testing::adapter::scene::{Scene, Visitor};

/// A row of the table.
struct Row {
    held: Held,
    does: &'static str,
    costs: Calls,
    causes: &'static [Effect],
    status: u16,
}

/// What the client holds when it asks.
#[derive(Clone, Copy, Debug)]
enum Held {
    Nothing,
    Malformed,
    /// The id of an anonymous session that was just used.
    Live,
    TouchDue,
    /// The id of a session that stays, a touch being due.
    TouchDueAndStays,
    RotationDue,
    RotationUnderWay,
    Successor,
    Unknown,
    Expired,
    Ended,
    /// The one from before the login.
    Superseded,
    /// A live one, while the store is down.
    StoreDown,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Effect {
    /// An id that the client does not hold, and `no-store`.
    NewId,
    /// The successor that is on offer already, and `no-store`.
    SameSuccessor,
    /// The client's own id and a new `Max-Age`, and `no-store`.
    Renewal,
    /// The removal, and `no-store`.
    Removal,
    Vary,
    /// `Clear-Site-Data`.
    Clear,
    /// `no-store` without a cookie.
    NoStore,
}

use Effect::{Clear, NewId, NoStore, Removal, Renewal, SameSuccessor, Vary};
use Held::{
    Ended, Expired, Live, Malformed, Nothing, RotationDue, RotationUnderWay, StoreDown, Successor,
    Superseded, TouchDue, TouchDueAndStays, Unknown,
};

const NONE: Calls =
    Calls { load: 0, insert: 0, replace: 0, touch: 0, end: 0, sessions_of: 0, remove_expired: 0 };
const LOAD: Calls = Calls { load: 1, ..NONE };
const INSERT: Calls = Calls { insert: 1, ..NONE };
const LOAD_INSERT: Calls = Calls { insert: 1, ..LOAD };
const LOAD_REPLACE: Calls = Calls { replace: 1, ..LOAD };
const LOAD_TOUCH: Calls = Calls { touch: 1, ..LOAD };

/// The path of a handler that does not ask.
const PLAIN: &str = "/plain";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { held: Nothing,          does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: Nothing,          does: "read",    costs: NONE,         causes: &[Vary],                 status: 200 },
    Row { held: Nothing,          does: "nothing", costs: NONE,         causes: &[Vary],                 status: 200 },
    Row { held: Nothing,          does: "visit",   costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { held: Nothing,          does: "login",   costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { held: Nothing,          does: "rotate",  costs: NONE,         causes: &[Vary],                 status: 200 },
    Row { held: Nothing,          does: "logout",  costs: NONE,         causes: &[Vary],                 status: 200 },
    Row { held: Malformed,        does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: Malformed,        does: "read",    costs: NONE,         causes: &[Vary],                 status: 200 },
    Row { held: Malformed,        does: "visit",   costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { held: Live,             does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: Live,             does: "read",    costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Live,             does: "nothing", costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Live,             does: "visit",   costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { held: Live,             does: "login",   costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { held: Live,             does: "rotate",  costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { held: Live,             does: "logout",  costs: LOAD_REPLACE, causes: &[Removal, Vary, Clear], status: 200 },
    Row { held: TouchDue,         does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: TouchDue,         does: "read",    costs: LOAD_TOUCH,   causes: &[Vary],                 status: 200 },
    Row { held: TouchDue,         does: "visit",   costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { held: TouchDueAndStays, does: "read",    costs: LOAD_REPLACE, causes: &[Renewal, Vary],        status: 200 },
    Row { held: TouchDueAndStays, does: "visit",   costs: LOAD_REPLACE, causes: &[Renewal, Vary],        status: 200 },
    Row { held: RotationDue,      does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: RotationDue,      does: "read",    costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { held: RotationDue,      does: "visit",   costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { held: RotationDue,      does: "leave",   costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { held: RotationUnderWay, does: "read",    costs: LOAD,         causes: &[SameSuccessor, Vary],  status: 200 },
    Row { held: RotationUnderWay, does: "visit",   costs: LOAD_REPLACE, causes: &[SameSuccessor, Vary],  status: 200 },
    Row { held: Successor,        does: "read",    costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { held: Successor,        does: "visit",   costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { held: Successor,        does: "logout",  costs: LOAD_REPLACE, causes: &[Removal, Vary, Clear], status: 200 },
    Row { held: Unknown,          does: "read",    costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Unknown,          does: "visit",   costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { held: Expired,          does: "read",    costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Expired,          does: "visit",   costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { held: Ended,            does: "read",    costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Ended,            does: "visit",   costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { held: Superseded,       does: "read",    costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { held: Superseded,       does: "visit",   costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { held: Superseded,       does: "login",   costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { held: Superseded,       does: "logout",  costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { held: StoreDown,        does: PLAIN,     costs: NONE,         causes: &[],                     status: 200 },
    Row { held: StoreDown,        does: "read",    costs: LOAD,         causes: &[Vary, NoStore],        status: 503 },
];

/// Plays all rows, and says of each what is wrong with it.
pub(super) async fn lifecycle(scene: &Scene) -> Check {
    let mut wrong = Vec::new();
    for row in TABLE {
        scene.reset();
        if let Err(seen) = play(scene, row).await {
            wrong.push(format!("{:?}, {}: {seen}", row.held, row.does));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

async fn play(scene: &Scene, row: &Row) -> Check {
    let (visitor, successor) = prepare(scene, row.held).await?;
    scene.spied.take();
    let before = visitor.shown();
    let answer = match row.does {
        PLAIN => visitor.get(PLAIN).await?,
        action => visitor.act(action).await?,
    };
    let calls = scene.spied.calls();
    let effects = effects(&answer, before.as_ref(), successor.as_ref())?;
    // A header has no `Max-Age` that would have to be renewed.
    let renews = row.causes.contains(&Renewal);
    let (costs, causes): (_, &[_]) = match row.does {
        "read" if renews && !scene.shop.is_cookie() => (LOAD_TOUCH, &[Vary]),
        _ if renews && !scene.shop.is_cookie() => (row.costs, &[Vary]),
        _ => (row.costs, row.causes),
    };
    let mut wrong = Vec::new();
    if calls != costs {
        wrong.push(format!("store calls {calls:?}, not {costs:?}"));
    }
    if answer.status != row.status {
        wrong.push(format!("status {}, not {}", answer.status, row.status));
    }
    if effects != causes {
        wrong.push(format!("headers {effects:?}, not {causes:?}"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", and ")) }
}

/// Returns somebody who holds that, and the successor if one is on offer.
async fn prepare(scene: &Scene, held: Held) -> Check<(Visitor<'_>, Option<String>)> {
    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    let rotation_due = async || {
        let visitor = scene.member().await?;
        // Touched on the way, so that the rotation alone is due.
        scene.clock.advance(15 * MINUTE - SECOND);
        visitor.act("visit").await?.is(200)?;
        scene.clock.advance(SECOND);
        Check::Ok(visitor)
    };
    let mut successor = None;
    let visitor = match held {
        Nothing => scene.visitor(),
        Malformed => scene.visitor().with("short"),
        Live => scene.guest().await?,
        TouchDue => {
            let visitor = scene.guest().await?;
            scene.clock.advance(MINUTE);
            visitor
        }
        TouchDueAndStays => {
            let visitor = scene.guest().await?;
            visitor.act("stay").await?.is(200)?;
            scene.clock.advance(MINUTE);
            visitor
        }
        RotationDue => rotation_due().await?,
        RotationUnderWay => {
            let visitor = rotation_due().await?;
            // Its answer is lost.
            let lost = visitor.clone().get("/act/read").await?;
            match lost.issued()? {
                Issued::Id(id) => successor = Some(id),
                other => return Err(format!("no successor is on offer, but {other:?}")),
            }
            visitor
        }
        Successor => {
            let visitor = rotation_due().await?;
            visitor.get("/act/read").await?.is(200)?.issues_id()?;
            visitor
        }
        Unknown => scene.visitor().with(&"A".repeat(43)),
        Expired => {
            let visitor = scene.guest().await?;
            scene.clock.advance(60 * MINUTE);
            visitor
        }
        Ended => {
            let visitor = scene.guest().await?;
            visitor.clone().act("logout").await?.is(200)?;
            visitor
        }
        Superseded => {
            let visitor = scene.guest().await?;
            visitor.clone().act("login").await?.is(200)?;
            visitor
        }
        StoreDown => {
            let visitor = scene.guest().await?;
            scene.faults.outage();
            visitor
        }
    };
    Ok((visitor, successor))
}

/// Reads off a response what the session has caused.
fn effects(
    answer: &Answer,
    held: Option<&String>,
    successor: Option<&String>,
) -> Check<Vec<Effect>> {
    let mut effects = Vec::new();
    let issued = answer.issued()?;
    match &issued {
        Issued::Nothing => {}
        Issued::Removal => effects.push(Removal),
        Issued::Id(id) if Some(id) == successor => effects.push(SameSuccessor),
        Issued::Id(id) if Some(id) == held => effects.push(Renewal),
        Issued::Id(_) => effects.push(NewId),
    }
    if answer.varies() {
        effects.push(Vary);
    }
    match answer.values("clear-site-data").as_slice() {
        [] => {}
        [value] if value == "\"cache\"" => effects.push(Clear),
        other => return Err(format!("`Clear-Site-Data` is {other:?}")),
    }
    match (answer.is_no_store(), issued == Issued::Nothing) {
        (true, true) => effects.push(NoStore),
        (false, false) => return Err("a cookie without `no-store`".to_owned()),
        (true, false) | (false, true) => {}
    }
    Ok(effects)
}
