//! Messages for the next page.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use typed_session::flash::{Flash, Level, Message};
use typed_session::merge::{OnConflict, three_way};
use typed_session::testing::Calls;
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::{Encoding, SessionData, Subject};

use crate::world::World;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Site {
    user: Option<u64>,
    flash: Flash,
}

/// A conflict is an error here, so that none stays unseen.
impl SessionData for Site {
    const ON_CONFLICT: OnConflict = OnConflict::Fail;

    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

fn push(world: &World<Site>, browser: &Browser, text: &str) {
    world.change(browser, |site| site.flash.push(Message::info(text)));
}

fn take(world: &World<Site>, browser: &Browser) -> Vec<String> {
    let (taken, answer) =
        world.visit(browser, async |session| session.update(|site| texts(site.flash.take())));
    answer.is_fine();
    taken
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().map(|message| message.text).collect()
}

#[test]
fn a_message_is_shown_once() {
    let world = World::<Site>::of();
    let browser = world.browser();
    push(&world, &browser, "one");
    push(&world, &browser, "two");
    world.read(&browser);
    assert_eq!(take(&world, &browser), ["one", "two"]);
    let (taken, answer) =
        world.visit(&browser, async |session| session.update(|site| site.flash.take()));
    assert!(taken.is_empty());
    assert_eq!(
        answer.calls,
        Calls { load: 1, ..Calls::default() },
        "nothing to show, nothing to store"
    );
    push(&world, &browser, "one");
    assert_eq!(take(&world, &browser), ["one"], "again, if it is said again");
}

#[test]
fn nobody_gets_a_session_by_looking_for_messages() {
    let world = World::<Site>::of();
    let (_, answer) =
        world.visit(&world.browser(), async |session| session.update(|site| site.flash.take()));
    assert_eq!(answer.calls, Calls::default());
    assert!(answer.set_cookie().is_none());
}

/// Two requests of one browser, the second of which ends first.
fn at_once<A, B>(
    world: &World<Site>,
    browser: &Browser,
    first: impl FnOnce(&mut Flash) -> A,
    second: impl FnOnce(&mut Flash) -> B,
) -> (A, B) {
    let [one, other] = [world.open(browser), world.open(browser)];
    let sessions = [run(one.session()).unwrap(), run(other.session()).unwrap()];
    let first = sessions[0].update(|site| first(&mut site.flash));
    let second = sessions[1].update(|site| second(&mut site.flash));
    for exchange in [other, one] {
        let answer = world.close(exchange);
        answer.is_fine();
        answer.reach(browser);
    }
    (first, second)
}

#[test]
fn of_requests_at_the_same_time_no_message_is_lost_and_none_comes_back() {
    let world = World::<Site>::of();
    let browser = world.browser();
    push(&world, &browser, "old");

    // Push and push.
    let say = |text: &'static str| move |flash: &mut Flash| flash.push(Message::info(text));
    at_once(&world, &browser, say("a"), say("b"));
    let all: BTreeSet<_> = take(&world, &browser).into_iter().collect();
    assert_eq!(all, ["a", "b", "old"].map(str::to_owned).into());

    // The same words twice are two messages.
    at_once(&world, &browser, say("a"), say("a"));
    assert_eq!(take(&world, &browser), ["a", "a"]);

    // Take and push, whoever is first.
    push(&world, &browser, "old");
    let (taken, ()) = at_once(&world, &browser, Flash::take, say("new"));
    assert_eq!(texts(taken), ["old"]);
    assert_eq!(take(&world, &browser), ["new"]);
    push(&world, &browser, "old");
    let ((), taken) = at_once(&world, &browser, say("new"), Flash::take);
    assert_eq!(texts(taken), ["old"]);
    assert_eq!(take(&world, &browser), ["new"]);

    // Take and take: both show it, and it is gone.
    push(&world, &browser, "old");
    let (one, other) = at_once(&world, &browser, Flash::take, Flash::take);
    assert_eq!((texts(one), texts(other)), (vec!["old".to_owned()], vec!["old".to_owned()]));
    assert!(take(&world, &browser).is_empty());

    // Who takes, and says the same words again, means a new message.
    push(&world, &browser, "old");
    let again = |flash: &mut Flash| {
        let taken = flash.take();
        flash.push(Message::info("old"));
        taken
    };
    at_once(&world, &browser, again, Flash::take);
    assert_eq!(take(&world, &browser), ["old"]);
}

#[test]
fn a_transaction_shows_each_message_to_one_request() {
    let world = World::<Site>::of();
    let browser = world.browser();
    push(&world, &browser, "once");
    let exchanges = [world.open(&browser), world.open(&browser)];
    let sessions = exchanges.each_ref().map(|exchange| run(exchange.session()).unwrap());
    let shown = sessions
        .map(|session| texts(run(session.transact(|site| site.flash.take())).unwrap()).len());
    assert_eq!(shown, [1, 0]);
    for exchange in exchanges {
        world.close(exchange).is_fine();
    }
}

#[test]
fn a_message_survives_a_login_and_not_a_switch_of_users() {
    let world = World::<Site>::of();
    let browser = world.browser();
    push(&world, &browser, "to the visitor");
    world.change(&browser, |site| {
        site.user = Some(1);
        site.flash.push(Message::success("welcome"));
    });
    assert_eq!(take(&world, &browser), ["to the visitor", "welcome"]);
    push(&world, &browser, "to the first");
    world.change(&browser, |site| {
        site.user = Some(2);
        site.flash.push(Message::success("welcome, second"));
    });
    assert_eq!(take(&world, &browser), ["welcome, second"]);
    push(&world, &browser, "goodbye");
    world.change(&browser, |site| site.user = None);
    assert_eq!(take(&world, &browser), ["goodbye"]);
}

#[test]
fn there_are_so_many_messages_and_so_long_ones() {
    let mut flash = Flash::default();
    for number in 0..40 {
        flash.push(number);
    }
    assert_eq!(Flash::<u32>::CAPACITY, 16);
    assert!(flash.iter().copied().eq(24..40), "the newest, in their order");
    assert_eq!(format!("{flash:?}"), "Flash(16)");
    assert_eq!(flash.take_if(|number| number % 2 == 0).len(), 8);
    assert!(flash.take().into_iter().eq((24..40).filter(|number| number % 2 == 1)));
    assert!(flash.is_empty());

    let long = Message::warning("\u{20ac}".repeat(1000));
    assert_eq!(long.text.len(), 1023, "cut between characters");
    assert_eq!((long.level, long.level.to_string()), (Level::Warning, "warning".to_owned()));
    assert!(Level::Info < Level::Success && Level::Warning < Level::Error);
}

#[test]
fn its_stored_form_is_read_for_ever() {
    let stored =
        r#"{"user":null,"flash":{"0000000000f0e0d0c0b0a090":{"level":"error","text":"x"}}}"#;
    let site: Site = serde_json::from_str(stored).unwrap();
    assert_eq!(site.flash.iter().collect::<Vec<_>>(), [&Message::error("x")]);
    assert_eq!(serde_json::to_string(&site).unwrap(), stored);
    // Keys that are none of ours do no harm.
    let odd = r#"{"flash":{"":{"level":"info","text":"a"},"\u20ac\u20ac\u20ac":{"level":"info","text":"b"}}}"#;
    let mut site: Site = serde_json::from_str(odd).unwrap();
    site.flash.push(Message::info("c"));
    assert_eq!(site.flash.iter().count(), 3);
}

/// Any two requests' pushes and takes, against the meaning of the words: what either took is gone,
/// what either pushed and did not take itself is there, once, and the rest is as it was.
#[test]
fn a_merge_of_any_pushes_and_takes_means_what_it_says() {
    use typed_session::Entropy;
    use typed_session::testing::SeededEntropy;
    let entropy = SeededEntropy::new(11);
    for round in 0..2_000 {
        let mut dice = [0; 12];
        entropy.fill(&mut dice).unwrap();
        let mut flash = Flash::<String>::default();
        for number in 0..dice[0] % 5 {
            flash.push(format!("{round} base {number}"));
        }
        let base: BTreeSet<String> = flash.iter().cloned().collect();
        let mut expected = base.clone();
        let mut sides = Vec::new();
        for (side, dice) in ["ours", "theirs"].into_iter().zip(dice[1..].chunks(5)) {
            let mut copy = flash.clone();
            for (step, die) in dice.iter().enumerate() {
                match die % 4 {
                    0 => drop(copy.take()),
                    1 => drop(copy.take_if(|text| text.ends_with('1'))),
                    _ => copy.push(format!("{round} {side} {step}")),
                }
            }
            let left: BTreeSet<String> = copy.iter().cloned().collect();
            for gone in base.difference(&left) {
                expected.remove(gone);
            }
            expected.extend(left.difference(&base).cloned());
            sides.push(copy);
        }
        let mut merged = three_way(&flash, &sides[0], &sides[1], OnConflict::Fail).unwrap();
        assert_eq!(merged.overwritten, 0);
        let mut merged = merged.data.take();
        merged.sort();
        assert!(merged.iter().eq(&expected), "{merged:?} {expected:?}");
    }
}

#[test]
fn messages_are_kept_in_every_encoding() {
    for encoding in [
        Encoding::Json,
        #[cfg(feature = "messagepack")]
        Encoding::MessagePack,
    ] {
        let world = World::<Site>::of();
        let sessions = world.sessions.clone().encoding(encoding);
        let world = World { sessions, ..world };
        let browser = world.browser();
        push(&world, &browser, "one");
        at_once(&world, &browser, |flash| flash.push(Message::info("two")), Flash::take);
        assert_eq!(take(&world, &browser), ["two"]);
    }
}
