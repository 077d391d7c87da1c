//! Nothing is stored and nothing is sent before the visitor agrees.

use typed_session::testing::Calls;
use typed_session::testing::schedule::run;
use typed_session::{EndReason, Error, SessionLayer, Subject, Verdict};

use crate::world::{DAY, Shop, URL, Way, World};

fn world() -> World {
    World::with(SessionLayer::require_consent)
}

#[test]
fn without_consent_nothing_is_stored_or_sent_and_that_is_an_event() {
    for way in Way::ALL {
        let world = World::by(way, SessionLayer::require_consent);
        let browser = world.browser();
        let (seen, answer) = world.visit(&browser, async |session| {
            session.update(|shop| shop.visits += 1);
            assert!(!session.has_consent());
            session.read(|shop| shop.visits)
        });
        answer.is_fine();
        assert_eq!(seen, 1, "the handler itself sees what it has written");
        assert_eq!((answer.set_cookie(), answer.calls), (None, Calls::default()));
        assert_eq!(world.events.names(), ["Withheld"]);
        assert_eq!(world.read(&browser).0, Shop::default());
        assert!(world.events.names().is_empty(), "who only reads withholds nothing");
    }
}

#[test]
fn consent_is_kept_by_a_session_though_its_data_is_the_default() {
    let world = world();
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| {
        session.give_consent();
        assert!(session.has_consent());
    });
    answer.is_fine();
    assert_eq!(answer.calls.insert, 1);
    assert!(browser.cookie_header(URL).is_some());
    let (has, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 7);
        session.has_consent()
    });
    answer.is_fine();
    assert!(has, "a session that exists means that consent was given");
    assert_eq!(world.read(&browser).0.visits, 7);
}

#[test]
fn what_was_written_before_the_consent_of_the_same_request_is_stored() {
    let world = world();
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.note = "before".into());
        assert!(matches!(session.commit().await, Err(Error::NoConsent)));
        session.give_consent();
        session.commit().await.unwrap();
    });
    answer.is_fine();
    assert_eq!(world.read(&browser).0.note, "before");
}

#[test]
fn a_login_without_consent_is_an_error_and_no_silent_nothing() {
    let world = world();
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
    });
    assert!(matches!(answer.outcome.error, Some(Error::NoConsent)), "{answer:?}");
    assert_eq!((answer.status(), answer.set_cookie()), (500, None));
    assert_eq!(answer.calls, Calls::default());
    let keys = run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked)).unwrap();
    assert_eq!(keys, 0);

    let ((), answer) = world.visit(&browser, async |session| {
        session.give_consent();
        session.update(|shop| shop.user = Some("ann".into()));
    });
    answer.is_fine();
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
}

#[test]
fn a_transaction_without_consent_does_not_claim_to_be_stored() {
    let world = world();
    let browser = world.browser();
    let (results, answer) = world.visit(&browser, async |session| {
        let written = session.transact(|shop| shop.visits += 1).await;
        let nothing = session.transact(|shop| shop.visits).await;
        (written, nothing)
    });
    assert!(matches!(results, (Err(Error::NoConsent), Ok(0))), "{results:?}");
    assert_eq!((answer.set_cookie(), answer.calls), (None, Calls::default()));

    let (result, answer) = world.visit(&browser, async |session| {
        session.give_consent();
        session.transact(|shop| shop.visits += 1).await
    });
    result.unwrap();
    answer.is_fine();
    assert_eq!(world.read(&browser).0.visits, 1);
}

#[test]
fn a_session_that_is_to_be_established_needs_consent_too() {
    let world = world();
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| session.establish());
    answer.is_fine();
    assert_eq!((answer.set_cookie(), answer.calls), (None, Calls::default()));
    assert_eq!(world.events.names(), ["Withheld"]);
}

#[test]
fn to_withdraw_is_to_end_the_session() {
    let world = world();
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| session.give_consent());
    let before = answer.cookie();
    world.events.take();
    let (has, answer) = world.visit(&browser, async |session| {
        session.end();
        session.update(|shop| shop.note = "good bye".into());
        session.has_consent()
    });
    answer.is_fine();
    assert!(!has);
    assert_eq!((answer.calls.insert, answer.calls.replace), (0, 1));
    assert!(answer.set_cookie().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.cookie_header(URL), None);
    assert_eq!(world.events.names(), ["Resumed", "Ended", "Withheld"]);
    let (_, answer) = world.ask(Some(&before), async |session| {
        session.update(|shop| shop.visits = 1);
    });
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
    assert_eq!(answer.set_cookie(), None, "an old cookie is no consent");
}

#[test]
fn consent_of_a_request_ends_with_the_session_that_it_was_given_for() {
    let world = world();
    let browser = world.browser();
    let (has, answer) = world.visit(&browser, async |session| {
        session.give_consent();
        session.commit().await.unwrap();
        session.end();
        session.update(|shop| shop.note = "good bye".into());
        session.has_consent()
    });
    answer.is_fine();
    assert!(!has);
    assert_eq!((answer.calls.insert, answer.calls.replace), (1, 1));
    assert_eq!(browser.cookie_header(URL), None);
    assert_eq!(world.events.names(), ["Created", "Ended", "Withheld"]);
}

#[test]
fn consent_goes_with_a_session_that_expires() {
    let world = world();
    let browser = world.browser();
    world.visit(&browser, async |session| session.give_consent());
    world.clock.advance(2 * DAY);
    let (has, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 1);
        session.has_consent()
    });
    answer.is_fine();
    assert!(!has);
    assert_eq!((answer.set_cookie(), answer.calls.insert), (None, 0));
}

#[test]
fn an_insertion_whose_answer_was_lost_is_repeated_with_its_consent() {
    use typed_session::store::ErrorKind;
    use typed_session::testing::{Verb, When};

    let world = world();
    let browser = world.browser();
    world.faults.nth(1, Verb::Insert, ErrorKind::Unavailable, When::After);
    let ((), answer) = world.visit(&browser, async |session| {
        session.give_consent();
        session.commit().await.unwrap_err();
    });
    answer.is_fine();
    assert!(world.visit(&browser, async |session| session.has_consent()).0);
}

#[test]
fn a_layer_that_requires_no_consent_has_it() {
    let world = World::new();
    let browser = world.browser();
    assert!(world.visit(&browser, async |session| session.has_consent()).0);
    let ((), answer) = world.visit(&browser, async |session| session.give_consent());
    assert_eq!(answer.calls.insert, 1, "to give it is to be remembered");
}
