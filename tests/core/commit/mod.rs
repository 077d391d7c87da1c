//! What becomes of a change when it is committed.

mod at_once;
mod contended;
mod ends;
mod lost_answers;
mod merging;
mod panics_and_drops;
mod switches;
mod transactions;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};
use typed_session::merge::OnConflict;
use typed_session::store::{ErrorKind, MemoryStore, Store as _};
use typed_session::testing::schedule::{Explorer, Scenario, run};
use typed_session::testing::{Verb, When, Yielding, Yields};
use typed_session::{
    EndReason, Error, Exchange, Lifetime, Session, SessionData, SessionLayer, Subject, Verdict,
};

use crate::world::{Answer, DAY, HOUR, Shop, Store, URL, World, id_of};

/// Two requests of one browser that have both loaded.
struct Two {
    world: World,
    cookie: String,
    a: (Exchange<Shop, Store>, Session<Shop>),
    b: (Exchange<Shop, Store>, Session<Shop>),
}

impl Two {
    /// They have loaded what `before` made.
    #[track_caller]
    fn after(before: impl FnOnce(&mut Shop)) -> Self {
        let world = World::new();
        let browser = world.browser();
        world.change(&browser, before);
        let cookie = browser.cookie_header(URL).unwrap();
        let open = || {
            let exchange = world.open_with(Some(&cookie));
            let session = run(exchange.session()).unwrap();
            (exchange, session)
        };
        let (a, b) = (open(), open());
        world.events.take();
        Self { world, a, b, cookie }
    }

    /// A is answered first.
    fn close(self) -> (World, String, Answer, Answer) {
        let (a, b) = (self.world.close(self.a.0), self.world.close(self.b.0));
        (self.world, self.cookie, a, b)
    }
}

#[track_caller]
fn stored(world: &World, cookie: &str) -> Shop {
    world.ask(Some(cookie), async |session| session.read(Shop::clone)).0
}

// Merging.

/// A stored session, and its cookie.
fn created<S: typed_session::store::Store>(sessions: &SessionLayer<Shop, S>) -> String {
    let exchange = sessions.open([]);
    let outcome = run(async {
        exchange.session().await.unwrap().update(|shop| shop.note = "made".into());
        exchange.finish().await
    });
    outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

fn visits<S: typed_session::store::Store>(sessions: &SessionLayer<Shop, S>, cookie: &str) -> u64 {
    let exchange = sessions.open([cookie.as_bytes()]);
    run(async { exchange.session().await.unwrap().read(|shop| shop.visits) })
}
