//! Abuse: guesses, floods, sizes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use typed_session::store::MemoryStore;
use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, ManualClock, Verb};
use typed_session::{Event, Guesses, Observer, SessionLayer, Timestamp, Verdict};

use super::world::{MINUTE, SECOND, START, Shop, Way, World};

/// What `Guesses` tells, and how many events come through it.
#[derive(Clone, Default)]
struct Alarm(Arc<Mutex<Seen>>);

type Seen = (Vec<(u64, Duration)>, usize);

/// A header's value of about so many bytes.
type Shape = fn(usize) -> String;

impl Alarm {
    #[track_caller]
    fn has_told(&self, counts: &[u64]) {
        let told = std::mem::take(&mut self.0.lock().unwrap().0);
        assert!(told.iter().all(|(_, interval)| *interval == MINUTE));
        assert_eq!(told.iter().map(|(count, _)| *count).collect::<Vec<_>>(), counts);
    }
}

impl Observer for Alarm {
    fn event(&self, event: &Event<'_>) {
        let mut seen = self.0.lock().unwrap();
        match event {
            Event::Guessing { count, interval } => seen.0.push((*count, *interval)),
            _ => seen.1 += 1,
        }
    }
}

fn guesses(alarm: &Alarm, clock: &ManualClock) -> Guesses<Alarm> {
    Guesses::new(MINUTE, 10, alarm.clone()).clock(clock.clone())
}

fn rejected(observer: &impl Observer, verdict: Verdict, times: usize) {
    for _ in 0..times {
        observer.event(&Event::Rejected { key: None, verdict });
    }
}

/// An id that nobody has.
fn made_up(n: usize) -> String {
    format!("{n:042}A")
}

fn cookie(id: &str) -> String {
    format!("__Host-session={id}")
}

#[test]
fn guessing_is_told_once_an_interval_and_as_soon_as_it_is_much() {
    let alarm = Alarm::default();
    let clock = ManualClock::at(START);
    let guesses = guesses(&alarm, &clock);
    rejected(&guesses, Verdict::Unknown, 9);
    alarm.has_told(&[]);
    rejected(&guesses, Verdict::Forged, 1);
    alarm.has_told(&[10]);
    // The same interval.
    clock.advance(MINUTE - Duration::from_millis(1));
    rejected(&guesses, Verdict::Malformed, 990);
    alarm.has_told(&[]);
    // The next one begins with the next of them, and tells of those that came since.
    clock.advance(Duration::from_millis(1));
    rejected(&guesses, Verdict::Unknown, 10);
    alarm.has_told(&[1000]);
    // What is usual, however long: no event.
    clock.advance(2 * MINUTE);
    for _ in 0..1000 {
        rejected(&guesses, Verdict::Unknown, 9);
        clock.advance(MINUTE);
    }
    alarm.has_told(&[]);
    // And none of it is counted later.
    rejected(&guesses, Verdict::Unknown, 10);
    alarm.has_told(&[10]);
}

#[test]
fn what_is_no_guess_is_not_counted_and_every_event_comes_through() {
    let alarm = Alarm::default();
    let guesses = guesses(&alarm, &ManualClock::at(START));
    let usual = [Verdict::IdleExpired, Verdict::AbsoluteExpired, Verdict::Superseded];
    for verdict in usual.into_iter().chain([Verdict::Undecodable]) {
        rejected(&guesses, verdict, 100);
    }
    alarm.has_told(&[]);
    assert_eq!(alarm.0.lock().unwrap().1, 400);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let alarm = Alarm::default();
    let clock = ManualClock::at(START);
    let guesses = guesses(&alarm, &clock);
    rejected(&guesses, Verdict::Unknown, 10);
    clock.set(Timestamp::from_millis(0));
    rejected(&guesses, Verdict::Unknown, 10);
    alarm.has_told(&[10, 10]);
    clock.set(START);
    rejected(&guesses, Verdict::Unknown, 10);
    alarm.has_told(&[10]);
}

#[test]
fn guesses_of_many_threads_are_told_once() {
    let alarm = Alarm::default();
    let guesses = guesses(&alarm, &ManualClock::at(START));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| rejected(&guesses, Verdict::Unknown, 1000));
        }
    });
    alarm.has_told(&[10]);
}

#[test]
fn who_guesses_ids_at_a_layer_is_told_of() {
    let alarm = Alarm::default();
    let clock = ManualClock::at(START);
    let world = World::with(|sessions| sessions.observer(guesses(&alarm, &clock)));
    for n in 0..9 {
        let (_, answer) = world.ask(Some(&cookie(&made_up(n))), async |_| ());
        assert_eq!(answer.verdict, Verdict::Unknown);
    }
    alarm.has_told(&[]);
    let (_, answer) = world.ask(Some("__Host-session=no-id"), async |_| ());
    assert_eq!(answer.verdict, Verdict::Malformed);
    alarm.has_told(&[10]);
}

#[test]
fn cookies_beyond_all_measure_are_five_loads_at_most() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let good = browser.cookie_header(super::world::URL).unwrap();
    let ids = |n: usize| (0..n).map(|n| cookie(&made_up(n))).collect::<Vec<_>>();
    let headers = [
        // Without any id: 64 KiB of one value, of pairs, of separators, of other cookies.
        ([cookie(&"A".repeat(64 * 1024))].join("; "), 0),
        (vec![cookie(&"A".repeat(42)); 1100].join("; "), 0),
        (vec![cookie(&"!".repeat(43)); 1100].join("; "), 0),
        (";".repeat(64 * 1024), 0),
        ("=".repeat(64 * 1024), 0),
        ("__Host-session".repeat(4600), 0),
        ("__Host-session=".repeat(4300), 0),
        (vec!["__Host-session"; 4000].join(";"), 0),
        ((0..200).map(|n| format!("other{n}={}", made_up(n))).collect::<Vec<_>>().join("; "), 0),
        // With ids.
        (vec![cookie(&made_up(1)); 200].join("; "), 1),
        (ids(200).join("; "), 5),
        (ids(1100).join("; "), 5),
    ];
    for (header, loads) in headers {
        let (_, answer) = world.ask(Some(&header), async |session| session.verdict());
        let expected = Calls { load: loads, ..Calls::default() };
        assert_eq!(answer.calls, expected, "{}", &header[..header.len().min(60)]);
        assert_eq!(answer.set_cookie(), None);
    }
    // The good one is found behind four, and is not looked for without end.
    for (before, verdict) in [(4, Verdict::Resumed), (5, Verdict::Unknown)] {
        let header = [ids(before).join("; "), good.clone()].join("; ");
        let (_, answer) = world.ask(Some(&header), async |_| ());
        assert_eq!((answer.verdict, answer.calls.load), (verdict, 5));
    }
}

/// Everything that is one octet away from an id, and more: no store call without the form of one.
#[test]
fn what_has_not_the_form_of_an_id_costs_no_store_call_by_any_transport() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let prefix = match way {
            Way::Cookie => "__Host-session=",
            Way::Bearer => "Bearer ",
            Way::Header => "",
        };
        let good = made_up(7);
        let mut tried = 0;
        for at in 0..=good.len() {
            for octet in 0..=u8::MAX {
                let mut longer = good.clone().into_bytes();
                longer.insert(at, octet);
                let mut other = good.clone().into_bytes();
                if let Some(there) = other.get_mut(at) {
                    *there = octet;
                }
                for id in [longer, other] {
                    let value = [prefix.as_bytes(), &id].concat();
                    let exchange = world.sessions.open([&value[..]]);
                    let session = run(exchange.session()).unwrap();
                    let loads = world.spied.take();
                    let is_form = has_the_form(way, &id);
                    assert_eq!(!loads.is_empty(), is_form, "{way:?}: {id:?}");
                    assert!(loads.iter().all(|verb| *verb == Verb::Load));
                    assert_ne!(session.verdict(), Verdict::Resumed);
                    tried += 1;
                }
            }
        }
        assert!(tried > 20_000);
    }
}

/// The form of an id, told in another way: of base64url, with the spare bits zero; in a cookie the
/// value ends at a `;`, and spaces around it are none of its.
fn has_the_form(way: Way, field: &[u8]) -> bool {
    let mut value = field;
    if way == Way::Cookie {
        value = value.split(|octet| *octet == b';').next().unwrap();
    }
    while let [b' ' | b'\t', rest @ ..] = value {
        if way == Way::Bearer && value[0] == b'\t' {
            break;
        }
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    let alphabet = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_".contains(octet);
    value.len() == 43
        && value.iter().all(alphabet)
        && b"AEIMQUYcgkosw048".contains(value.last().unwrap())
}

/// Twice the length is twice the time: measured by the fastest of many runs, against eight times
/// the length, and tried again where the machine has other things to do.
#[test]
fn the_time_for_a_header_grows_no_faster_than_its_length() {
    let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
    let time = |header: &str| {
        let clock = typed_session::SteadyClock::start();
        let begin = std::hint::black_box(header);
        let started = typed_session::Clock::now(&clock);
        drop(std::hint::black_box(sessions.open([begin.as_bytes()])));
        typed_session::Clock::now(&clock).since(started)
    };
    let pair = |n: usize| cookie(&made_up(n));
    let shapes: [(&str, Shape); 5] = [
        ("semicolons", |n| ";".repeat(n)),
        ("malformed ids", |n| vec!["__Host-session=x"; n / 17].join(";")),
        ("one id again and again", |n| vec![cookie(&made_up(7)); n / 59].join(";")),
        ("names without an end", |n| "__Host-session".repeat(n / 14)),
        ("spaces", |n| format!("__Host-session={}x{}", " ".repeat(n / 2), " ".repeat(n / 2))),
    ];
    assert_eq!(pair(7).len(), 58);
    for (name, shape) in shapes {
        let headers = [shape(64 * 1024), shape(512 * 1024)];
        let [mut short, mut long] = [Duration::MAX; 2];
        // Quadratic were 64, in each of them.
        let grew = (0..100).any(|_| {
            short = short.min(time(&headers[0]));
            long = long.min(time(&headers[1]));
            long <= 24 * short.max(Duration::from_millis(1))
        });
        assert!(grew, "{name}: {short:?}, and {long:?} for eight times as much");
    }
}

#[test]
fn a_flood_of_visitors_fills_the_memory_store_and_logs_nobody_out() {
    let clock = ManualClock::at(START);
    let rows = MemoryStore::with_capacity_limit(100).clock(clock.clone());
    let sessions = SessionLayer::<Shop, _>::new(rows).clock(clock.clone());
    let visit = |cookie: Option<&str>, note: &str| {
        let exchange = sessions.open(cookie.map(str::as_bytes));
        run(async {
            let session = exchange.session().await.unwrap();
            session.update(|shop| shop.note = note.to_owned());
            let outcome = exchange.finish().await;
            let cookie =
                outcome.effects.set_cookie().map(|line| line.split(';').next().unwrap().to_owned());
            (session.verdict(), outcome.error.map_or(200, |error| error.status()), cookie)
        })
    };
    let (_, status, ann) = visit(None, "ann was here");
    assert_eq!(status, 200);
    let mut refused = 0;
    for _ in 0..1000 {
        let (_, status, cookie) = visit(None, "flood");
        refused += usize::from(status == 503);
        assert_eq!(status == 200, cookie.is_some());
    }
    assert_eq!((sessions.store().len(), refused), (100, 901));
    // Who was there stays, and may change what is theirs.
    clock.advance(30 * MINUTE);
    let (verdict, status, _) = visit(ann.as_deref(), "ann was here again");
    assert_eq!((verdict, status), (Verdict::Resumed, 200));
    // What the flood has left expires, and makes room; nobody has swept.
    clock.advance(30 * MINUTE + SECOND);
    assert_eq!(visit(None, "bob").1, 200);
    let (verdict, status, _) = visit(ann.as_deref(), "and again");
    assert_eq!((verdict, status), (Verdict::Resumed, 200));
}
