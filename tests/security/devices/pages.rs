//! What users see of their sessions.

use typed_session::store::{ErrorKind, Store as _};
use typed_session::testing::schedule::run;
use typed_session::testing::{Verb, When};
use typed_session::{
    Body, ClientInfo, ClientPolicy, EndReason, Record, Revision, SessionInfo, SessionKey, Subject,
    Verdict,
};

use crate::world::{DAY, HOUR, MINUTE, SECOND, START, Way, World};

fn all(world: &World, user: &str) -> Vec<SessionInfo> {
    run(world.sessions.sessions_of(Subject::from(user), None, 100)).unwrap().sessions
}

#[test]
fn asvs_7_5_2_a_user_sees_and_ends_each_session() {
    let world = World::with(|sessions| sessions.client_info(ClientPolicy::default()));
    let (desk, phone, stranger) = (world.browser(), world.browser(), world.browser());
    let (desk_key, _) = world.visit(&desk, async |session| {
        session.set_client(ClientInfo::new("Desk/1"));
        session.update(|shop| shop.user = Some("ann".into()));
        session.commit().await.unwrap();
        session.key().unwrap()
    });
    world.clock.advance(MINUTE);
    world.log_in(&phone, "ann");
    world.log_in(&stranger, "bob");

    let ((mine, others), _) = world.visit(&desk, async |session| {
        let page = world.sessions.sessions_of(Subject::from("ann"), None, 9).await.unwrap();
        page.sessions.into_iter().partition::<Vec<_>, _>(|info| info.is(session))
    });
    let ([mine], [other]) = (&mine[..], &others[..]) else { panic!("{mine:?} {others:?}") };
    assert_eq!(mine.key, desk_key);
    assert_eq!(mine.client.as_ref().unwrap().user_agent(), "Desk/1");
    assert_eq!((mine.created_at, mine.authenticated_at), (START, Some(START)));
    assert_eq!(mine.absolute_deadline, START.plus(DAY));
    assert_eq!(other.client, None);
    assert_eq!((other.created_at, other.last_seen), (START.plus(MINUTE), START.plus(MINUTE)));
    assert_eq!(other.expires_at, START.plus(MINUTE + HOUR));

    // Each of them can be ended, this one last.
    for (key, left) in [(other.key, 1), (mine.key, 0)] {
        let ended = run(world.sessions.end_of(Subject::from("ann"), &key, EndReason::Revoked));
        assert!(ended.unwrap());
        assert_eq!(all(&world, "ann").len(), left);
    }
    assert_eq!(world.read(&phone).1.verdict, Verdict::Ended(EndReason::Revoked));
    assert_eq!(world.read(&desk).1.verdict, Verdict::Ended(EndReason::Revoked));
    assert_eq!(world.read(&stranger).1.verdict, Verdict::Resumed);
}

#[test]
fn a_key_of_somebody_else_or_of_nobody_ends_nothing() {
    let world = World::new();
    let (ann, bob, nobody) = (world.browser(), world.browser(), world.browser());
    world.log_in(&ann, "ann");
    world.log_in(&bob, "bob");
    world.change(&nobody, |shop| shop.visits = 1);
    let (bobs, _) = world.visit(&bob, async |session| session.key().unwrap());
    let (nobodys, _) = world.visit(&nobody, async |session| session.key().unwrap());
    let absent = SessionKey::from_bytes([7; 32]);
    for key in [bobs, nobodys, absent] {
        let ended = run(world.sessions.end_of(Subject::from("ann"), &key, EndReason::Revoked));
        assert!(!ended.unwrap());
    }
    assert_eq!(run(world.rows.load(&absent)).unwrap(), None, "no tombstone for the asking");
    for browser in [&ann, &bob, &nobody] {
        assert_eq!(world.read(browser).1.verdict, Verdict::Resumed);
    }
    // Nor twice.
    let ends = || run(world.sessions.end_of(Subject::from("bob"), &bobs, EndReason::Revoked));
    assert!(ends().unwrap());
    assert!(!ends().unwrap());
}

#[test]
fn a_session_that_becomes_somebody_elses_meanwhile_is_not_ended() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    // The user switches between the load and the compare-and-swap of the end.
    let exchange = world.open(&browser);
    let session = run(exchange.session()).unwrap();
    let stale = run(world.rows.load(&key)).unwrap().unwrap();
    session.update(|shop| shop.user = Some("bob".into()));
    world.close(exchange).reach(&browser);
    assert_ne!(run(world.rows.load(&key)).unwrap().unwrap().revision, stale.revision);
    assert!(!run(world.sessions.end_of(Subject::from("ann"), &key, EndReason::Revoked)).unwrap());
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
}

#[test]
fn what_is_over_is_not_shown_and_what_cannot_be_read_is_shown_and_ended() {
    let world = World::new();
    let browsers: Vec<_> = (0..4).map(|_| world.browser()).collect();
    for browser in &browsers {
        world.log_in(browser, "ann");
    }
    let (_, ended) = world.visit(&browsers[0], async |session| session.end());
    ended.is_fine();
    world.change(&browsers[1], |shop| shop.user = None);
    let (key, _) = world.visit(&browsers[2], async |session| session.key().unwrap());
    // As a later program writes it.
    let there = run(world.rows.load(&key)).unwrap().unwrap();
    let revision = Revision::from_u64(there.revision.as_u64() + 1);
    let later = Record { revision, body: Body(b"\x09later".to_vec()), ..there.clone() };
    assert_eq!(
        run(world.rows.replace(&key, there.revision, &later)).unwrap(),
        typed_session::store::Replaced::Done
    );

    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 100)).unwrap();
    assert_eq!((page.sessions.len(), page.unreadable, page.next), (1, vec![key], None));
    assert!(run(world.sessions.end_of(Subject::from("ann"), &key, EndReason::Revoked)).unwrap());
    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 100)).unwrap();
    assert_eq!((page.sessions.len(), page.unreadable.len()), (1, 0));
    world.clock.advance(HOUR);
    assert_eq!(all(&world, "ann"), [], "expired");
}

#[test]
fn a_row_that_makes_no_sense_is_shown_and_ended_by_whom_the_index_names() {
    let world = World::new();
    let (ann, bob) = (world.browser(), world.browser());
    world.log_in(&ann, "ann");
    world.log_in(&bob, "bob");
    let (key, _) = world.visit(&ann, async |session| session.key().unwrap());
    world.faults.every(Verb::Load, ErrorKind::Corrupt, When::Before);
    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 100)).unwrap();
    assert_eq!((page.sessions.len(), page.unreadable), (0, vec![key]));
    let end = |user| run(world.sessions.end_of(Subject::from(user), &key, EndReason::Revoked));
    assert!(!end("bob").unwrap(), "the index does not name it for bob");
    assert!(end("ann").unwrap());
    world.faults.clear();
    assert_eq!(world.read(&ann).1.verdict, Verdict::Ended(EndReason::Revoked));
    assert_eq!(world.read(&bob).1.verdict, Verdict::Resumed);
}

#[test]
fn pages_show_each_session_once() {
    let world = World::new();
    for _ in 0..25 {
        world.log_in(&world.browser(), "ann");
    }
    for limit in [0, 1, 7, 25, 26, 100] {
        let (mut keys, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = run(world.sessions.sessions_of(Subject::from("ann"), after.as_ref(), limit));
            let page = page.unwrap();
            keys.extend(page.sessions.iter().map(|info| info.key));
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(pages, 25 / limit.max(1) + 1);
        assert_eq!(keys.len(), 25);
        assert!(keys.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn last_seen_is_as_exact_as_the_touch_interval() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for minutes in 1..=30_u32 {
        world.clock.advance(MINUTE - SECOND);
        world.read(&browser);
        world.clock.advance(SECOND);
        let seen = all(&world, "ann")[0].last_seen;
        let now = START.plus(MINUTE * minutes);
        assert!(now.since(seen) <= MINUTE + SECOND && seen <= now, "{minutes}: {seen}");
    }
    // Never before what is known for certain.
    world.clock.advance(20 * MINUTE);
    let seen = world.sessions.clone();
    let (_, answer) = world.visit(&browser, async |session| session.reauthenticate());
    answer.is_fine();
    let info = run(seen.sessions_of(Subject::from("ann"), None, 9)).unwrap().sessions.remove(0);
    assert_eq!(Some(info.last_seen), info.authenticated_at);
}

#[test]
fn sessions_are_seen_and_ended_by_every_transport() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let browser = world.browser();
        world.log_in(&browser, "ann");
        assert_eq!(all(&world, "ann").len(), 1);
        let others = world.browser();
        world.log_in(&others, "ann");
        let (ended, answer) = world.visit(&browser, async |session| {
            world.sessions.end_others(session, EndReason::Revoked).await.unwrap()
        });
        answer.is_fine();
        assert_eq!(ended, 1);
        assert!(answer.set_cookie().is_some());
        assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    }
}
