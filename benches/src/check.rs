//! What a contestant does, seen from outside: a contestant that forgets its work is quick.

use crate::app::{
    Answer, App, Contestant, Cookies, END, Kind, LIGHT, PAUSED, PAUSED_COUNTER, PAUSED_THEME, SHOW,
    shown,
};
use crate::workload::{Profile, Workload};

/// Panics unless the contestant does what each workload asks for.
pub fn check(contestant: &Contestant) {
    if matches!(contestant.kind, Kind::Floor | Kind::EmptyLayer) {
        return;
    }
    for workload in Workload::ALL {
        let mut app = (contestant.make)();
        let what = format!("{}, {}", contestant.label(), workload.describe());
        for _ in 0..10 {
            let old = app.visit(workload.prepared_by(), None).cookie;
            let old = old.filter(|_| workload.has_cookie());
            let answer = app.visit(workload.path(), old.as_deref());
            assert!(answer.is_good(), "{what}: {}", answer.status);
            let sets = contestant.cookies.set_by(workload);
            assert_eq!(answer.cookie.is_some(), sets, "{what}: whether a cookie is set");
            if workload == Workload::Login {
                assert_ne!(old, answer.cookie, "{what}: a login changes the id");
            }
            let now = answer.cookie.or(old);
            let counter = now.as_deref().filter(|_| has_routes_for_checks(contestant));
            let counter = counter.and_then(|cookie| count(&mut *app, cookie));
            let expected = match workload {
                Workload::Bare => continue,
                Workload::Write => 2,
                Workload::Untouched | Workload::Read | Workload::Create | Workload::Login => 1,
            };
            if let Some(counter) = counter {
                assert_eq!(counter, expected, "{what}: the counter");
            }
            if workload == Workload::Login {
                let next = app.visit("/login", now.as_deref());
                assert!(next.is_good(), "{what}: the new id logs in once more");
            }
        }
    }
}

/// Those on the other frameworks have a route for each workload alone.
pub fn has_routes_for_checks(contestant: &Contestant) -> bool {
    contestant.framework == "axum"
}

/// What a contestant was seen to do where libraries differ.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Seen {
    /// Which responses carry the cookie; [`check`] holds it to that.
    pub cookies: &'static str,
    /// A write with the id from before a login.
    pub old_id: &'static str,
    /// A write with an id of the right form that was never given out.
    pub made_up: &'static str,
    /// A request that has read the session writes it after another one has ended it.
    pub ended: &'static str,
    /// A request that has read the session changes one field after another one has changed
    /// another field.
    pub two_fields: &'static str,
    /// Two requests read a counter, and then both write it increased.
    pub one_counter: &'static str,
    /// The same, by the means that the library has for it.
    pub own_counter: &'static str,
}

/// Tries what no workload does.
pub fn see(contestant: &Contestant) -> Seen {
    let fresh = || (contestant.make)();
    let one_counter = |path| one_counter(&mut *fresh(), path);
    Seen {
        cookies: match contestant.cookies {
            Cookies::Never => "never",
            Cookies::WhenNew => "new ids",
            Cookies::WhenWritten => "writes",
            Cookies::WhenThere => "all that have a session",
            Cookies::Always => "all",
        },
        old_id: old_id(&mut *fresh()),
        made_up: made_up(&mut *fresh()),
        ended: ended(&mut *fresh()).unwrap_or(NOT_TRIED),
        two_fields: two_fields(&mut *fresh()).unwrap_or(NOT_TRIED),
        one_counter: one_counter(PAUSED).unwrap_or(NOT_TRIED),
        own_counter: match one_counter(PAUSED_COUNTER) {
            Some(seen) => seen,
            None if one_counter(PAUSED).is_some() => "none",
            None => NOT_TRIED,
        },
    }
}

impl Seen {
    /// Panics unless ours and what it is held against are seen to keep what they promise.
    pub fn check(&self, contestant: &Contestant) {
        if matches!(contestant.kind, Kind::ByHand | Kind::Library) {
            let what = contestant.label();
            assert_eq!(self.old_id, REFUSED, "{what}: the id from before a login writes nothing");
            assert_eq!(self.made_up, NEW_ID, "{what}: no id is taken from a client");
            let ended = [REFUSED, NOT_TRIED].contains(&self.ended);
            assert!(ended, "{what}: a session that was ended does not come back: {}", self.ended);
            let lost = self.two_fields == LOST || self.own_counter == LOST;
            assert!(!lost, "{what}: no update is lost");
        }
    }
}

const REFUSED: &str = "refused";
const NEW_ID: &str = "another session, new id";
const LOST: &str = "one is lost, both get 200";
const NOT_TRIED: &str = "not tried";

fn visitor(app: &mut dyn App) -> String {
    app.visit("/visit", None).cookie.expect("a session was created")
}

fn old_id(app: &mut dyn App) -> &'static str {
    let old = visitor(app);
    let new = app.visit("/login", Some(&old)).cookie.expect("the id is new");
    let late = app.visit("/write", Some(&old));
    if count(app, &new).is_some_and(|counter| counter != 1) {
        return "writes the session";
    }
    new_or_refused(&late, &old)
}

fn one_counter(app: &mut dyn App, path: &str) -> Option<&'static str> {
    let old = visitor(app);
    let answers = app.overlap(path, path, &old)?;
    let counter = count(app, &newest(&answers, old))?;
    let [first, second] = answers.map(|answer| answer.is_good());
    Some(match (first, second, counter) {
        (true, true, 3) => "both count",
        (true, true, _) => LOST,
        (false, true, 2) | (true, false, 2) => "one is refused",
        _ => "other",
    })
}

fn two_fields(app: &mut dyn App) -> Option<&'static str> {
    let old = visitor(app);
    let answers = app.overlap(PAUSED_THEME, PAUSED, &old)?;
    let status = app.visit(SHOW, Some(&newest(&answers, old))).status;
    let profile =
        |counter, theme: &str| Profile { counter, theme: theme.into(), ..Profile::default() };
    let [first, second] = answers.map(|answer| answer.is_good());
    Some(match (first, second) {
        (true, true) if status == shown(&profile(2, LIGHT)) => "both are kept",
        (true, true) => LOST,
        (false, true) if status == shown(&profile(2, "dark")) => "one is refused",
        _ => "other",
    })
}

/// The cookie after two requests, of which the first was answered last.
fn newest(answers: &[Answer; 2], old: String) -> String {
    answers.iter().find_map(|answer| answer.cookie.clone()).unwrap_or(old)
}

fn ended(app: &mut dyn App) -> Option<&'static str> {
    let old = visitor(app);
    let [late, end] = app.overlap(PAUSED, END, &old)?;
    assert!(end.is_good(), "a session can be ended");
    if count(app, &old)? != 0 {
        return Some("the session is back");
    }
    let started = late.cookie.as_deref().and_then(|cookie| count(app, cookie));
    Some(match started {
        Some(1..) => "another session, new id",
        _ if late.is_good() => "dropped, gets 200",
        _ => REFUSED,
    })
}

fn made_up(app: &mut dyn App) -> &'static str {
    let given = visitor(app);
    let (session, others) = given.split_at(given.find(';').unwrap_or(given.len()));
    let (name, id) = session.split_once('=').expect("a cookie has a value");
    // Another digit in the middle: a hexadecimal one, which all forms of ids know.
    let middle = id.len() / 2 + 1;
    let other = if id.as_bytes()[middle] == b'a' { "b" } else { "a" };
    let made_up = format!("{name}={}{other}{}{others}", &id[..middle], &id[middle + 1..]);
    let answer = app.visit("/write", Some(&made_up));
    new_or_refused(&answer, &made_up)
}

fn new_or_refused(answer: &Answer, sent: &str) -> &'static str {
    match &answer.cookie {
        _ if !answer.is_good() => REFUSED,
        Some(cookie) if cookie == sent => "another session, that id",
        Some(_) => NEW_ID,
        None => "dropped, gets 200",
    }
}

/// The counter, if the application tells it.
fn count(app: &mut dyn App, cookie: &str) -> Option<u64> {
    let status = app.visit(SHOW, Some(cookie)).status;
    (0..50).find(|counter| {
        let profile =
            |theme: &str| Profile { counter: *counter, theme: theme.into(), ..Profile::default() };
        [profile(""), profile(LIGHT)].iter().any(|profile| shown(profile) == status)
    })
}

impl Answer {
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
