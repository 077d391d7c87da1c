//! Ending the others, all of a user's, and everybody's.

use std::sync::Arc;

use typed_session::store::{
    DynStore, ErrorKind, Inserted, MemoryStore, Replaced, Result, Revision, Store,
};
use typed_session::testing::schedule::run;
use typed_session::testing::{Verb, When};
use typed_session::{
    EndReason, Error, Record, SessionKey, SessionLayer, Subject, Timestamp, Verdict,
};

use crate::world::{DAY, Shop, URL, World};

const REVOKED: Verdict = Verdict::Ended(EndReason::Revoked);

fn end_others(
    world: &World,
    cookie: &str,
) -> (std::result::Result<usize, Error>, crate::world::Answer) {
    world.ask(Some(cookie), async |session| {
        session.update(|shop| shop.note = "new password".into());
        world.sessions.end_others(session, EndReason::Revoked).await
    })
}

#[test]
fn asvs_7_4_2_to_disable_an_account_ends_all_its_sessions() {
    let world = World::new();
    let browsers: Vec<_> = (0..5).map(|_| world.browser()).collect();
    for browser in &browsers[..4] {
        world.log_in(browser, "ann");
    }
    world.log_in(&browsers[4], "bob");
    let ended = run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked)).unwrap();
    assert_eq!(ended, 4);
    for browser in &browsers[..4] {
        assert_eq!(world.read(browser).1.verdict, REVOKED);
    }
    assert_eq!(world.read(&browsers[4]).1.verdict, Verdict::Resumed);
}

#[test]
fn asvs_7_4_3_to_change_a_password_ends_all_other_sessions_and_gives_this_one_a_new_id() {
    let world = World::new();
    let (this, other, stranger) = (world.browser(), world.browser(), world.browser());
    world.log_in(&this, "ann");
    world.log_in(&other, "ann");
    world.log_in(&stranger, "bob");
    let stolen = this.cookie_header(URL).unwrap();

    let (ended, answer) = end_others(&world, &stolen);
    answer.is_fine();
    answer.reach(&this);
    assert_eq!(ended.unwrap(), 1);
    assert_eq!(world.read(&other).1.verdict, REVOKED);
    assert_eq!(world.read(&stranger).1.verdict, Verdict::Resumed);
    let (shop, answer) = world.read(&this);
    assert_eq!((answer.verdict, &*shop.note), (Verdict::Resumed, "new password"));
    // Whoever shares the id is out, and can neither do the same nor anything else.
    let (refused, answer) = end_others(&world, &stolen);
    assert!(matches!(refused, Err(Error::Lost(Verdict::Superseded))), "{refused:?}");
    assert!(answer.set_cookie().is_none());
    assert_eq!(world.read(&this).1.verdict, Verdict::Resumed);
}

#[test]
fn a_session_that_was_superseded_or_ended_meanwhile_ends_no_others() {
    for superseded in [true, false] {
        let world = World::new();
        let (this, other) = (world.browser(), world.browser());
        world.log_in(&this, "ann");
        world.log_in(&other, "ann");
        // A thief's request, that has loaded the session before.
        let exchange = world.open(&this);
        let session = run(exchange.session()).unwrap();
        let (_, answer) =
            world.visit(
                &this,
                async |session| {
                    if superseded { session.reauthenticate() } else { session.end() }
                },
            );
        answer.is_fine();
        let refused = run(world.sessions.end_others(&session, EndReason::Revoked));
        let verdict =
            if superseded { Verdict::Superseded } else { Verdict::Ended(EndReason::Logout) };
        assert!(matches!(&refused, Err(Error::Lost(lost)) if *lost == verdict), "{refused:?}");
        assert!(world.close(exchange).set_cookie().is_none());
        assert_eq!(world.read(&other).1.verdict, Verdict::Resumed);
    }
}

#[test]
fn without_a_subject_there_are_no_others() {
    let world = World::new();
    let (browser, other) = (world.browser(), world.browser());
    world.log_in(&other, "ann");
    let end = || {
        world.visit(&browser, async |session| {
            world.sessions.end_others(session, EndReason::Revoked).await
        })
    };
    assert!(matches!(end().0, Err(Error::NoSubject)));
    world.change(&browser, |shop| shop.visits = 1);
    let error = end().0.unwrap_err();
    assert!(matches!(error, Error::NoSubject));
    assert_eq!((error.status(), error.public_message()), (403, "Please sign in first."));
    assert_eq!(world.read(&other).1.verdict, Verdict::Resumed);
}

#[test]
fn to_end_the_others_again_after_a_failure_at_any_step_ends_them() {
    let mut failed = 0;
    for verb in [Verb::Load, Verb::SessionsOf, Verb::Replace, Verb::End] {
        for when in [When::Before, When::After] {
            for nth in 1..6 {
                let world = World::new();
                let browsers: Vec<_> = (0..3).map(|_| world.browser()).collect();
                for browser in &browsers {
                    world.log_in(browser, "ann");
                }
                let cookie = browsers[0].cookie_header(URL).unwrap();
                let exchange = world.open_with(Some(&cookie));
                let session = run(exchange.session()).unwrap();
                world.faults.nth(nth, verb, ErrorKind::Unavailable, when);
                let first = run(world.sessions.end_others(&session, EndReason::Revoked));
                world.faults.clear();
                failed += usize::from(first.is_err());
                // Again, in the same request: its id may be a new one already.
                run(world.sessions.end_others(&session, EndReason::Revoked)).unwrap();
                let answer = world.close(exchange);
                answer.is_fine();
                answer.reach(&browsers[0]);
                assert_eq!(world.read(&browsers[0]).1.verdict, Verdict::Resumed);
                for other in &browsers[1..] {
                    assert_eq!(world.read(other).1.verdict, REVOKED, "{verb:?} {when:?} {nth}");
                }
            }
        }
    }
    assert!(failed >= 10, "{failed}");
}

#[test]
fn asvs_7_4_5_administrators_end_the_sessions_of_one_user_and_of_everybody() {
    let world = World::new();
    let browsers: Vec<_> = (0..30).map(|_| world.browser()).collect();
    for (number, browser) in browsers.iter().enumerate() {
        match number % 3 {
            0 => world.log_in(browser, "ann"),
            1 => world.log_in(browser, "bob"),
            _ => world.change(browser, |shop| shop.visits = 1),
        };
    }
    let ended = run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked)).unwrap();
    assert_eq!(ended, 10);
    let in_flight = world.open(&browsers[1]);
    let writing = run(in_flight.session()).unwrap();

    // With a store that can be walked through, also one chosen at run time.
    let store = DynStore::scannable(Arc::clone(&world.rows));
    let layer = SessionLayer::<Shop, _>::new(store).clock(world.clock.clone());
    assert_eq!(run(layer.end_everyone(EndReason::Revoked)).unwrap(), 20);
    for browser in &browsers {
        assert_eq!(world.read(browser).1.verdict, REVOKED);
    }
    writing.update(|shop| shop.visits += 1);
    assert_eq!(world.close(in_flight).status(), 409, "no request in flight brings one back");
    assert_eq!(run(layer.end_everyone(EndReason::Revoked)).unwrap(), 0);
    world.log_in(&browsers[0], "ann");
    assert_eq!(world.read(&browsers[0]).1.verdict, Verdict::Resumed, "and life goes on");

    let blind = SessionLayer::<Shop, _>::new(DynStore::new(MemoryStore::new()));
    assert!(run(blind.end_everyone(EndReason::Revoked)).is_err());
}

/// A store whose index was lost, or names what it likes.
struct Damaged {
    rows: Arc<MemoryStore>,
    index: Vec<SessionKey>,
}

impl Store for Damaged {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.rows.load(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.rows.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.rows.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.rows.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.rows.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        _: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let later = self.index.iter().filter(|key| after.is_none_or(|after| *key > after));
        Ok(later.take(limit).copied().collect())
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.rows.remove_expired(now, limit).await
    }
}

impl typed_session::store::Scan for Damaged {
    async fn scan(
        &self,
        from: Option<&typed_session::store::Cursor>,
        limit: usize,
    ) -> Result<typed_session::store::Page> {
        self.rows.scan(from, limit).await
    }
}

fn key_of(world: &World, browser: &typed_session::testing::browser::Browser) -> SessionKey {
    world.visit(browser, async |session| session.key().unwrap()).0
}

#[test]
fn an_index_that_names_what_is_absent_ended_or_somebody_elses_ends_what_it_should_and_no_more() {
    let world = World::new();
    let (ann, bob, nobody, gone) =
        (world.browser(), world.browser(), world.browser(), world.browser());
    world.log_in(&ann, "ann");
    world.log_in(&bob, "bob");
    world.change(&nobody, |shop| shop.visits = 1);
    world.log_in(&gone, "ann");
    let gone_key = key_of(&world, &gone);
    run(world.sessions.end(&gone_key, EndReason::Logout)).unwrap();
    let mut index = vec![key_of(&world, &ann), key_of(&world, &bob), key_of(&world, &nobody)];
    index.push(gone_key);
    index.extend((0..250).map(|n| SessionKey::from_bytes([n; 32])));
    index.sort();
    let store = Damaged { rows: Arc::clone(&world.rows), index };
    let layer = SessionLayer::<Shop, _>::new(store).clock(world.clock.clone());
    let ann_is = Subject::from("ann");

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = run(layer.sessions_of(ann_is, after.as_ref(), 100)).unwrap();
        assert_eq!(page.unreadable, []);
        seen.extend(page.sessions.iter().map(|info| info.key));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [key_of(&world, &ann)]);
    assert_eq!(run(layer.end_all(ann_is, EndReason::Revoked)).unwrap(), 1);
    assert_eq!(world.read(&ann).1.verdict, REVOKED);
    assert_eq!(world.read(&bob).1.verdict, Verdict::Resumed);
    assert_eq!(world.read(&nobody).1.verdict, Verdict::Resumed);
    assert_eq!(world.read(&gone).1.verdict, Verdict::Ended(EndReason::Logout));
}

#[test]
fn without_an_index_a_walk_ends_all_sessions_of_a_user() {
    let world = World::new();
    let browsers: Vec<_> = (0..20).map(|_| world.browser()).collect();
    for (number, browser) in browsers.iter().enumerate() {
        world.log_in(browser, if number % 2 == 0 { "ann" } else { "bob" });
    }
    let store = Damaged { rows: Arc::clone(&world.rows), index: Vec::new() };
    let layer = SessionLayer::<Shop, _>::new(store).clock(world.clock.clone());
    let ann_is = Subject::from("ann");
    assert_eq!(run(layer.end_all(ann_is, EndReason::Revoked)).unwrap(), 0, "the index is lost");
    assert_eq!(run(layer.end_all_by_scan(ann_is, EndReason::Revoked)).unwrap(), 10);
    for (number, browser) in browsers.iter().enumerate() {
        let expected = if number % 2 == 0 { REVOKED } else { Verdict::Resumed };
        assert_eq!(world.read(browser).1.verdict, expected);
    }
    world.clock.advance(DAY);
}
