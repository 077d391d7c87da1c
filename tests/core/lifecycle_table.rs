//! What each request costs and causes: one row a line.

use typed_session::store::{ErrorKind, Store as _};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, Verb, When};
use typed_session::{ClearSiteData, Lifetime, Rotation, Session, Timestamp};

use super::world::{Answer, DAY, Form, HOUR, MINUTE, SECOND, Shop, URL, Way, World, keys};

/// A row of the table.
struct Row {
    /// What the browser holds when it asks.
    cookie: Cookie,
    handler: Handler,
    costs: Calls,
    causes: &'static [Effect],
    status: u16,
}

#[derive(Clone, Copy, Debug)]
enum Cookie {
    None,
    Malformed,
    /// Of an anonymous session that was just used.
    Valid,
    /// Of a session that goes with the browser, a touch being due.
    TouchDue,
    /// Of one that stays, a touch being due.
    TouchDuePersistent,
    RotationDue,
    RotationUnderWay,
    /// The same, and a touch is due as well.
    RotationUnderWayAndTouchDue,
    Successor,
    Unknown,
    Expired,
    Ended,
    /// The one from before the login.
    Superseded,
    /// A valid one, while the store is down.
    StoreDown,
    /// A valid one, written by a key that is the newest no more.
    OfOlderKey,
    /// The same, before a login.
    SupersededOfOlderKey,
    /// Written by a key that is not in the ring.
    Unverified,
}

#[derive(Clone, Copy, Debug)]
enum Handler {
    DoesNotAsk,
    Reads,
    /// Asks for a change that changes nothing.
    ChangesNothing,
    Changes,
    LogsIn,
    LogsOut,
    Rotates,
    Ends,
    /// Changes the data, while the session is ended by another request.
    ChangesWhatIsEndedMeanwhile,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    /// `Set-Cookie`, or the header of another transport, with an id that the browser does not
    /// hold, and `no-store`.
    NewId,
    /// `Set-Cookie` with the successor that is on offer already, and `no-store`.
    SameSuccessor,
    /// `Set-Cookie` with the browser's own id and a new `Max-Age`, and `no-store`.
    Renewal,
    /// `Set-Cookie` with the browser's own id as the newest key writes it, and `no-store`.
    Rewritten,
    /// `Set-Cookie` that removes the cookie, and `no-store`.
    Removal,
    /// `Vary: Cookie`, or as the header is called.
    Vary,
    /// `Clear-Site-Data`.
    Clear,
    /// `no-store` without a cookie.
    NoStore,
}

use Cookie::*;
use Effect::{Clear, NewId, NoStore, Removal, Renewal, Rewritten, SameSuccessor, Vary};
use Handler::*;

const NOTHING: Calls =
    Calls { load: 0, insert: 0, replace: 0, touch: 0, end: 0, sessions_of: 0, remove_expired: 0 };
const LOAD: Calls = Calls { load: 1, ..NOTHING };
const INSERT: Calls = Calls { insert: 1, ..NOTHING };
const LOAD_INSERT: Calls = Calls { insert: 1, ..LOAD };
const LOAD_REPLACE: Calls = Calls { replace: 1, ..LOAD };
const LOAD_TOUCH: Calls = Calls { touch: 1, ..LOAD };

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { cookie: Cookie::None,       handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: Cookie::None,       handler: Reads,          costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Cookie::None,       handler: ChangesNothing, costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Cookie::None,       handler: Changes,        costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Cookie::None,       handler: LogsIn,         costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Cookie::None,       handler: Rotates,        costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Cookie::None,       handler: Ends,           costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Malformed,          handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: Malformed,          handler: Reads,          costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Malformed,          handler: Changes,        costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Valid,              handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: Valid,              handler: Reads,          costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: TouchDue,           handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: TouchDue,           handler: Reads,          costs: LOAD_TOUCH,   causes: &[Vary],                 status: 200 },
    Row { cookie: TouchDue,           handler: Changes,        costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    // By a replacement: a request that sets a cookie must know that its id is still the one.
    Row { cookie: TouchDuePersistent, handler: Reads,          costs: LOAD_REPLACE, causes: &[Renewal, Vary],        status: 200 },
    Row { cookie: TouchDuePersistent, handler: Changes,        costs: LOAD_REPLACE, causes: &[Renewal, Vary],        status: 200 },
    Row { cookie: RotationDue,        handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: RotationDue,        handler: Reads,          costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: RotationDue,        handler: Changes,        costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: RotationUnderWay,   handler: Reads,          costs: LOAD,         causes: &[SameSuccessor, Vary],  status: 200 },
    Row { cookie: RotationUnderWay,   handler: Changes,        costs: LOAD_REPLACE, causes: &[SameSuccessor, Vary],  status: 200 },
    Row { cookie: RotationUnderWayAndTouchDue, handler: Reads, costs: LOAD_TOUCH, causes: &[SameSuccessor, Vary],    status: 200 },
    Row { cookie: Successor,          handler: Reads,          costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { cookie: Successor,          handler: Changes,        costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { cookie: Valid,              handler: ChangesNothing, costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: Valid,              handler: Changes,        costs: LOAD_REPLACE, causes: &[Vary],                 status: 200 },
    Row { cookie: Valid,              handler: LogsIn,         costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: RotationDue,        handler: LogsOut,        costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Valid,              handler: Rotates,        costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Valid,              handler: Ends,           costs: LOAD_REPLACE, causes: &[Removal, Vary, Clear], status: 200 },
    Row { cookie: Successor,          handler: Ends,           costs: LOAD_REPLACE, causes: &[Removal, Vary, Clear], status: 200 },
    Row { cookie: Unknown,            handler: Reads,          costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: Unknown,            handler: Changes,        costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Expired,            handler: Reads,          costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: Expired,            handler: Changes,        costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Ended,              handler: Reads,          costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: Ended,              handler: Changes,        costs: LOAD_INSERT,  causes: &[NewId, Vary],          status: 200 },
    Row { cookie: Superseded,         handler: Reads,          costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: Superseded,         handler: Changes,        costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { cookie: Superseded,         handler: LogsIn,         costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { cookie: Valid, handler: ChangesWhatIsEndedMeanwhile, costs: LOAD_REPLACE, causes: &[Vary, NoStore],        status: 409 },
    Row { cookie: OfOlderKey,         handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: OfOlderKey,         handler: Reads,          costs: LOAD_REPLACE, causes: &[Rewritten, Vary],      status: 200 },
    Row { cookie: OfOlderKey,         handler: ChangesNothing, costs: LOAD_REPLACE, causes: &[Rewritten, Vary],      status: 200 },
    Row { cookie: OfOlderKey,         handler: Changes,        costs: LOAD_REPLACE, causes: &[Rewritten, Vary],      status: 200 },
    Row { cookie: OfOlderKey,         handler: LogsIn,         costs: LOAD_REPLACE, causes: &[NewId, Vary],          status: 200 },
    Row { cookie: OfOlderKey,         handler: Ends,           costs: LOAD_REPLACE, causes: &[Removal, Vary, Clear], status: 200 },
    Row { cookie: OfOlderKey, handler: ChangesWhatIsEndedMeanwhile, costs: LOAD_REPLACE, causes: &[Vary, NoStore],   status: 409 },
    Row { cookie: SupersededOfOlderKey, handler: Reads,        costs: LOAD,         causes: &[Vary],                 status: 200 },
    Row { cookie: SupersededOfOlderKey, handler: Changes,      costs: LOAD,         causes: &[Vary, NoStore],        status: 409 },
    Row { cookie: Unverified,         handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: Unverified,         handler: Reads,          costs: NOTHING,      causes: &[Vary],                 status: 200 },
    Row { cookie: Unverified,         handler: Changes,        costs: INSERT,       causes: &[NewId, Vary],          status: 200 },
    Row { cookie: StoreDown,          handler: DoesNotAsk,     costs: NOTHING,      causes: &[],                     status: 200 },
    Row { cookie: StoreDown,          handler: Reads,          costs: LOAD,         causes: &[Vary, NoStore],        status: 503 },
];

#[test]
fn every_request_costs_and_causes_what_the_table_says() {
    for row in TABLE {
        let name = format!("{:?} and {:?}", row.cookie, row.handler);
        for (way, form) in
            Way::ALL.iter().flat_map(|way| Form::ALL.iter().map(|form| (*way, *form)))
        {
            if form == Form::Unsigned && row.cookie.needs_keys() {
                continue;
            }
            let stage = Stage::set(row.cookie, way, form);
            let (calls, status, answer) = stage.play(row.handler);
            let (costs, causes) = row.by(way);
            assert_eq!(calls, costs, "{way:?}, {form:?}, {name}: store calls");
            assert_eq!(status, row.status, "{way:?}, {form:?}, {name}: status");
            assert_eq!(stage.effects(&answer), causes, "{way:?}, {form:?}, {name}: effects");
        }
    }
}

impl Cookie {
    const fn needs_keys(self) -> bool {
        matches!(self, OfOlderKey | SupersededOfOlderKey | Unverified)
    }
}

impl Row {
    /// The same by every transport, but that there is nothing to renew without a `Max-Age`.
    fn by(&self, way: Way) -> (Calls, Vec<Effect>) {
        let renews = self.causes.contains(&Renewal);
        let mut causes = self.causes.to_vec();
        let costs = match (way, self.handler) {
            (Way::Bearer | Way::Header, Reads) if renews => LOAD_TOUCH,
            (Way::Cookie | Way::Bearer | Way::Header, _) => self.costs,
        };
        if way != Way::Cookie {
            causes.retain(|effect| *effect != Renewal);
        }
        (costs, causes)
    }
}

#[test]
fn a_verb_that_fails_costs_the_row_no_more_and_no_less() {
    for (verb, handler) in [(Verb::Replace, Changes), (Verb::Replace, Ends), (Verb::Load, Changes)]
    {
        let stage = Stage::set(Valid, Way::Cookie, Form::Unsigned);
        stage.world.faults.every(verb, ErrorKind::Unavailable, When::Before);
        let (calls, status, answer) = stage.play(handler);
        assert_eq!(status, 503);
        assert_eq!(calls, if verb == Verb::Load { LOAD } else { LOAD_REPLACE });
        assert_eq!(stage.effects(&answer), [Vary, NoStore], "the cookie is left alone");
    }
}

/// A world in which the next request is that of a row.
struct Stage {
    world: World,
    browser: Browser,
    successor: Option<String>,
}

impl Stage {
    fn set(cookie: Cookie, way: Way, form: Form) -> Self {
        let rotation = Rotation::default().every(15 * MINUTE);
        let world = World::by(way, |sessions| {
            let form = form.with(keys(&[1]));
            sessions.rotation(rotation).clear_site_data(ClearSiteData::Cache).id_form(form)
        });
        let browser = world.browser();
        let mut stage = Self { world, browser, successor: Option::None };
        stage.prepare(cookie);
        let ring = match cookie {
            OfOlderKey | SupersededOfOlderKey => keys(&[2, 1]),
            Unverified => keys(&[2]),
            _ => return stage,
        };
        // The same server, with other keys.
        let sessions = stage.world.sessions.clone().id_form(form.with(ring));
        stage.world = stage.world.beside(sessions);
        stage
    }

    fn prepare(&mut self, cookie: Cookie) {
        let Self { world, browser, successor } = self;
        let visit = |browser: &Browser| world.change(browser, |shop| shop.visits += 1);
        let rotation_due = || {
            world.log_in(browser, "ann");
            // Touched on the way, so that the rotation alone is due.
            world.clock.advance(15 * MINUTE - SECOND);
            world.change(browser, |shop| shop.visits += 1);
            world.clock.advance(SECOND);
        };
        match cookie {
            Cookie::None => {}
            Malformed => {
                browser.receive(URL, ["__Host-session=short; Path=/; Secure"]);
            }
            Valid => drop(visit(browser)),
            TouchDue => {
                visit(browser);
                world.clock.advance(MINUTE);
            }
            TouchDuePersistent => {
                world.visit(browser, async |session| {
                    session.update(|shop| shop.visits += 1);
                    session.set_lifetime(Lifetime::new(14 * DAY, 90 * DAY).persistent());
                });
                world.clock.advance(MINUTE);
            }
            RotationDue => rotation_due(),
            RotationUnderWay | RotationUnderWayAndTouchDue => {
                rotation_due();
                // Its answer is lost.
                let (_, answer) = world.ask(browser.cookie_header(URL).as_deref(), async |_| ());
                *successor = Some(world.bare(&answer.cookie()));
                if let RotationUnderWayAndTouchDue = cookie {
                    world.clock.advance(MINUTE);
                }
            }
            Successor => {
                rotation_due();
                world.read(browser);
            }
            Unknown => {
                // Of another store, and by the same keys.
                visit(browser);
                run(world.rows.remove_expired(Timestamp::MAX, 10)).unwrap();
            }
            Expired => {
                visit(browser);
                world.clock.advance(HOUR);
            }
            Ended => {
                visit(browser);
                world.visit(&browser.clone(), async |session| session.end());
            }
            OfOlderKey | Unverified => drop(visit(browser)),
            Superseded | SupersededOfOlderKey => {
                visit(browser);
                world.log_in(&browser.clone(), "ann");
            }
            StoreDown => {
                visit(browser);
                world.faults.outage();
            }
        }
    }

    fn play(&self, handler: Handler) -> (Calls, u16, Answer) {
        let Self { world, browser, .. } = self;
        world.spied.take();
        let exchange = world.open(browser);
        let status = match handler {
            DoesNotAsk => Option::None,
            _ => match run(exchange.session()) {
                Ok(session) => {
                    handle(handler, &session);
                    Option::None
                }
                Err(error) => Some(error.status()),
            },
        };
        let mut calls = world.spied.take();
        if let ChangesWhatIsEndedMeanwhile = handler {
            world.visit(&browser.clone(), async |session| session.end());
        }
        // What the other request cost is not this row's.
        world.spied.take();
        let answer = world.close(exchange);
        calls.extend(world.spied.take());
        (count(&calls), status.unwrap_or(answer.status()), answer)
    }

    fn effects(&self, answer: &Answer) -> Vec<Effect> {
        let held = self.browser.cookie_header(URL).map(|cookie| self.world.bare(&cookie));
        let mut effects = Vec::new();
        if let Some(line) = answer.set_cookie() {
            let cookie = self.world.bare(&answer.cookie());
            effects.push(if cookie == "__Host-session=" {
                assert!(line.contains("Max-Age=0"), "{line}");
                Removal
            } else if Some(&cookie) == self.successor.as_ref() {
                SameSuccessor
            } else if Some(&cookie) == held.as_ref() && !line.contains("Max-Age") {
                let text = Some(answer.cookie());
                assert_ne!(text, self.browser.cookie_header(URL), "the text is another");
                Rewritten
            } else if Some(&cookie) == held.as_ref() {
                assert!(line.contains("Max-Age=1209600"), "{line}");
                Renewal
            } else {
                NewId
            });
        }
        let (_, vary) = self.world.way.names();
        for header in answer.outcome.effects.headers() {
            match (header.name, header.value) {
                _ if header.is_secret => {}
                ("cache-control", "no-store") => {
                    if answer.set_cookie().is_none() {
                        effects.push(NoStore);
                    }
                }
                ("vary", value) if value == vary => effects.push(Vary),
                ("clear-site-data", "\"cache\"") => effects.push(Clear),
                other => panic!("an effect that nobody asked for: {other:?}"),
            }
        }
        effects.sort_by_key(|effect| *effect == NoStore);
        effects
    }
}

fn handle(handler: Handler, session: &Session<Shop>) {
    match handler {
        DoesNotAsk => {}
        Reads => drop(session.read(Shop::clone)),
        ChangesNothing => session.update(|shop| shop.visits += 0),
        Changes | ChangesWhatIsEndedMeanwhile => session.update(|shop| shop.visits += 1),
        LogsIn => session.update(|shop| shop.user = Some("bob".into())),
        LogsOut => session.update(|shop| shop.user = Option::None),
        Rotates => session.rotate(),
        Ends => session.end(),
    }
}

fn count(verbs: &[Verb]) -> Calls {
    let of = |verb| verbs.iter().filter(|other| **other == verb).count();
    Calls {
        load: of(Verb::Load),
        insert: of(Verb::Insert),
        replace: of(Verb::Replace),
        touch: of(Verb::Touch),
        end: of(Verb::End),
        sessions_of: of(Verb::SessionsOf),
        remove_expired: of(Verb::RemoveExpired),
    }
}
