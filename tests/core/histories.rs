//! What holds in every history, in many that nobody thought of.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, SeededEntropy};
use typed_session::{
    CookieLifetime, Lifetime, Reuse, Rotation, Session, SessionKey, Timestamp, Verdict,
};

use super::world::{DAY, Form, HOUR, MINUTE, SECOND, Shop, URL, Way, World, id_of, keys};

/// Random choices, the same in every run.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, sides: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes()) % sides
    }

    fn one_of<T: Copy>(&self, things: &[T]) -> T {
        things[self.below(things.len() as u64) as usize]
    }
}

/// What a request may do to the absolute deadline.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Deadline {
    Stays,
    MovesAnyhow,
    /// A logout that keeps the session.
    NeverLater,
}

/// One step of a handler, at random.
async fn act(
    dice: &Dice,
    session: &Session<Shop>,
    cookie: CookieLifetime,
    calls: &mut usize,
) -> Deadline {
    match dice.below(9) {
        0 | 1 => Deadline::Stays,
        2 => {
            session.update(|shop| shop.visits += 1);
            *calls += 1;
            Deadline::Stays
        }
        3 => {
            session.update(|shop| shop.basket.push("tea".into()));
            session.update(|shop| drop(shop.basket.pop()));
            Deadline::Stays
        }
        4 => {
            let user = dice.one_of(&["ann", "bob"]);
            session.update(|shop| shop.user = Some(user.to_owned()));
            *calls += 1;
            Deadline::MovesAnyhow
        }
        5 => {
            session.update(|shop| shop.user = None);
            *calls += 1;
            Deadline::NeverLater
        }
        6 => {
            session.rotate();
            *calls += 1;
            Deadline::Stays
        }
        7 => {
            let lifetime = Lifetime::new(HOUR, dice.one_of(&[DAY, 9 * DAY]));
            session.set_lifetime(match cookie {
                CookieLifetime::BrowserSession => lifetime,
                CookieLifetime::Persistent => lifetime.persistent(),
            });
            *calls += 1;
            Deadline::MovesAnyhow
        }
        _ => {
            session.end();
            *calls += 2;
            Deadline::MovesAnyhow
        }
    }
}

#[test]
fn no_history_breaks_what_must_always_hold() {
    for seed in 0..150 {
        history(seed, Way::Cookie, Form::Unsigned, CookieLifetime::Persistent);
    }
}

#[test]
fn every_transport_has_the_same_histories() {
    for seed in 1000..1050 {
        let [cookie, bearer, header] =
            Way::ALL.map(|way| history(seed, way, Form::Unsigned, CookieLifetime::BrowserSession));
        assert!(cookie.len() == 80 && cookie.iter().any(|request| request.gave.is_some()));
        assert_eq!(cookie, bearer, "seed {seed}");
        assert_eq!(cookie, header, "seed {seed}");
    }
}

#[test]
fn every_form_of_an_id_has_the_same_histories() {
    for seed in 2000..2010 {
        for (way, stays) in [
            (Way::Cookie, CookieLifetime::Persistent),
            (Way::Bearer, CookieLifetime::BrowserSession),
            (Way::Header, CookieLifetime::Persistent),
        ] {
            let unsigned = history(seed, way, Form::Unsigned, stays);
            assert_eq!(unsigned, history(seed, way, Form::Signed, stays), "{way:?}, seed {seed}");
            // A nonce is drawn for each text, so the ids are others.
            #[cfg(feature = "sealed")]
            for (one, other) in unsigned.iter().zip(history(seed, way, Form::Private, stays)) {
                let same = Request { gave: one.gave.clone(), ..other };
                assert_eq!(*one, same, "{way:?}, seed {seed}");
                assert_eq!(one.gave.is_some(), other.gave.is_some(), "{way:?}, seed {seed}");
            }
        }
    }
}

/// What became of a request, whatever the transport.
#[derive(Debug, PartialEq)]
struct Request {
    verdict: Verdict,
    status: u16,
    calls: Calls,
    /// The id, if it is another than the request's own.
    gave: Option<String>,
}

fn history(seed: u64, way: Way, form: Form, cookie_lifetime: CookieLifetime) -> Vec<Request> {
    let dice = Dice(SeededEntropy::new(seed));
    let on_reuse = dice.one_of(&[Reuse::Reject, Reuse::EndSession]);
    let rotates = dice.below(2) == 0;
    let world = World::by(way, |sessions| {
        match rotates {
            true => sessions.rotation(Rotation::default().on_reuse(on_reuse)),
            false => sessions,
        }
        .id_form(form.with(keys(&[1])))
    });
    let browser = world.browser();
    let mut ended: HashSet<SessionKey> = HashSet::new();
    let mut deadlines: HashMap<SessionKey, Timestamp> = HashMap::new();
    let mut cookies: Vec<String> = Vec::new();
    let mut events = Vec::new();
    let mut requests = Vec::new();

    for step in 0..80 {
        let at = format!("seed {seed}, step {step}");
        world.clock.advance(dice.one_of(&[
            Duration::ZERO,
            SECOND,
            31 * SECOND,
            MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
        ]));
        // Mostly the browser's own cookie, sometimes one that it had before.
        let own = browser.cookie_header(URL);
        let is_own = dice.below(5) > 0 || cookies.is_empty();
        let cookie = if is_own {
            own
        } else {
            Some(cookies[dice.below(cookies.len() as u64) as usize].clone())
        };

        let mut writes = 1; // upkeep
        let mut ends = false;
        let ((key, times, moves), answer) = world.ask(cookie.as_deref(), async |session| {
            let (key, times) = (session.key(), session.times());
            let mut moves = Deadline::Stays;
            for _ in 0..dice.below(3) {
                let more = act(&dice, session, cookie_lifetime, &mut writes).await;
                moves = match (moves, more) {
                    (Deadline::Stays, more) => more,
                    (moves, Deadline::Stays) => moves,
                    _ => Deadline::MovesAnyhow,
                };
                ends |= session.key() != key;
            }
            (key, times, moves)
        });

        // An ended session never reads as alive again.
        if answer.verdict == Verdict::Resumed {
            let key = key.expect("a session that lives has a key");
            let times = times.unwrap();
            assert!(!ended.contains(&key), "{at}: an ended session is back");
            assert!(times.expires_at <= times.absolute_deadline, "{at}");
            // The absolute deadline is where the last request left it.
            if let Some(deadline) = deadlines.get(&key) {
                assert_eq!(times.absolute_deadline, *deadline, "{at}: the deadline moved");
            }
        }
        if ends {
            ended.extend(key);
        }

        // No request costs more than the table says.
        let calls = answer.calls;
        assert!(calls.load <= 1 && calls.touch <= 1 && calls.end <= 1, "{at}: {calls:?}");
        assert!(calls.total() - calls.load <= writes, "{at}: {calls:?}");
        if answer.verdict != Verdict::Resumed {
            // An old id that is shown again may end its session.
            let may_end = usize::from(answer.verdict == Verdict::Superseded);
            assert!(calls.replace <= may_end && calls.touch == 0, "{at}: {calls:?}");
        }
        if answer.verdict == Verdict::Superseded {
            assert_eq!(answer.set_cookie(), None, "{at}");
        } else {
            assert_eq!(answer.status(), 200, "{at}: {:?}", answer.outcome.error);
        }

        // The client gets the answer, most of the time.
        let arrives = dice.below(5) > 0;
        let gave = answer.set_cookie().map(|_| answer.cookie());
        if let Some(gave) = &gave {
            let id = world.bare(gave);
            if gave != "__Host-session=" && cookies.iter().all(|known| world.bare(known) != id) {
                cookies.push(gave.clone());
            }
            if arrives && is_own {
                answer.reach(&browser);
            }
        }
        requests.push(Request {
            verdict: answer.verdict,
            status: answer.status(),
            calls,
            gave: gave.map(|gave| world.bare(&gave)).filter(|gave| {
                Some(gave) != cookie.as_ref().map(|cookie| world.bare(cookie)).as_ref()
            }),
        });

        // What the request left behind.
        for cookie in cookies.iter().chain(&cookie) {
            let looking = world.open_with(Some(cookie));
            let looking = run(looking.pending().load()).unwrap();
            if let (Some(now), Some(times)) = (looking.key(), looking.times()) {
                let deadline = times.absolute_deadline;
                if let (Some(before), true) = (deadlines.get(&now), Some(now) == key) {
                    match moves {
                        Deadline::MovesAnyhow => {}
                        Deadline::Stays => assert_eq!(deadline, *before, "{at}"),
                        Deadline::NeverLater => assert!(deadline <= *before, "{at}"),
                    }
                } else if let Some(before) = deadlines.get(&now) {
                    assert_eq!(deadline, *before, "{at}");
                }
                deadlines.insert(now, deadline);
                assert!(!ended.contains(&now), "{at}: an ended session is alive");
            }
        }
        events.extend(world.events.take());
    }

    // Of an id nothing but its key is ever told.
    let events = events.join("\n");
    for cookie in &cookies {
        assert!(!events.contains(id_of(cookie)), "seed {seed}");
        assert!(!events.contains(id_of(&world.bare(cookie))), "seed {seed}");
    }
    requests
}
