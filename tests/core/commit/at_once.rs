//! A store that says that it answers at once, and waits all the same.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use futures_util::poll;
use typed_session::store::{Inserted, Replaced, Result, Revision, Store};
use typed_session::{OnLimit, Record, SessionKey, Timestamp};

use super::*;

/// It waits where the store that it is made of does; and its loads do while that is wanted.
#[derive(Clone)]
struct Claims<S> {
    store: Arc<S>,
    waits: Arc<AtomicBool>,
}

impl<S: Store> Claims<S> {
    fn of(store: S) -> Self {
        Self { store: Arc::new(store), waits: Arc::default() }
    }

    async fn pass(&self) {
        std::future::poll_fn(|_| match self.waits.load(Ordering::Relaxed) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }
}

#[test]
fn of_two_loads_of_a_request_neither_disturbs_the_other() {
    let store = Claims::of(MemoryStore::new());
    let waits = Arc::clone(&store.waits);
    let sessions = SessionLayer::<Shop, _>::new(store);
    let unknown = created(&SessionLayer::<Shop, _>::new(MemoryStore::new()));
    let known = created(&sessions);
    // One that another domain has put there, say, comes first.
    let cookies = format!("{unknown}; {known}");
    run(async {
        for waits_again in [false, true] {
            let exchange = sessions.open([cookies.as_bytes()]);
            let (one, other) = (exchange.pending(), exchange.pending());
            waits.store(true, Ordering::Relaxed);
            let (mut one, mut other) = (pin!(one.load()), pin!(other.load()));
            assert!(poll!(&mut one).is_pending());
            waits.store(waits_again, Ordering::Relaxed);
            assert!(poll!(&mut other).is_pending(), "it is the other one's turn");
            waits.store(false, Ordering::Relaxed);
            assert_eq!(one.await.unwrap().verdict(), Verdict::Resumed);
            assert_eq!(other.await.unwrap().verdict(), Verdict::Resumed);
        }
    });
}

#[test]
fn nothing_is_lost_if_it_waits_all_the_same() {
    for yields in [Yields::Before, Yields::Around] {
        let store = Claims::of(Yielding::new(MemoryStore::new(), yields));
        let sessions = SessionLayer::<Shop, _>::new(store).max_sessions(2, OnLimit::EndOldest);
        let cookie = created(&sessions);
        let visit = async |at: usize| {
            let exchange = sessions.open([cookie.as_bytes()]);
            let session = exchange.session().await.unwrap();
            session.update(|shop| shop.basket.push(at.to_string()));
            let kept = session.clone();
            session.transact(|shop| shop.visits += 1).await.unwrap();
            kept.update(|shop| shop.basket.push(format!("{at} again")));
            // With a handle that somebody has kept, and without one.
            let kept = at.is_multiple_of(2).then_some(kept);
            drop(session);
            let outcome = exchange.finish().await;
            drop(kept);
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
        };
        run(join_all((0..10).map(visit)));
        assert_eq!(visits(&sessions, &cookie), 10);
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        assert_eq!(session.read(|shop| shop.basket.len()), 20);
        drop(session);
        let log_in = async |_| {
            let exchange = sessions.open([]);
            exchange.session().await.unwrap().update(|shop| shop.user = Some("ann".into()));
            let outcome = exchange.finish().await;
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
        };
        let cookies = run(join_all((0..4).map(log_in)));
        let verdict =
            |cookie: &String| run(sessions.open([cookie.as_bytes()]).session()).unwrap().verdict();
        let alive = cookies.iter().filter(|cookie| verdict(cookie) == Verdict::Resumed);
        assert_eq!(alive.count(), 2);
    }
}

impl<S: Store> Store for Claims<S> {
    const ANSWERS_AT_ONCE: bool = true;

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.pass().await;
        self.store.load(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.store.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.store.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.store.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.store.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.store.sessions_of(subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.store.remove_expired(now, limit).await
    }
}
