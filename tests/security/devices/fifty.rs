//! Fifty logins at the same time, on any store; shared with the tests of the engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use typed_session::store::{Revision, Store};
use typed_session::{
    EndReason, Error, OnLimit, SessionData, SessionKey, SessionLayer, Subject, Verdict,
};

#[derive(Default, Deserialize, Serialize)]
struct Account {
    user: Option<String>,
    visits: u64,
}

impl SessionData for Account {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

const LOGINS: usize = 50;

/// The keys of those who are in, one look after the other.
async fn look<S: Store>(store: &S, subject: &Subject) -> Vec<SessionKey> {
    let mut alive = Vec::new();
    for key in store.sessions_of(subject, None, 1000).await.unwrap() {
        let there = store.load(&key).await.unwrap();
        if there.is_some_and(|there| {
            there.subject == Some(*subject) && there.revision != Revision::ENDED
        }) {
            alive.push(key);
        }
    }
    alive
}

/// Those who were in at one and the same instant: between two looks that both have seen them,
/// because nobody who is out comes in again.
async fn at_once<S: Store>(store: &S, subject: &Subject) -> usize {
    let before = look(store, subject).await;
    let after = look(store, subject).await;
    after.iter().filter(|key| before.contains(key)).count()
}

/// Holds the limit to its word: at every instant, and in the end.
pub(crate) async fn fifty_logins_keep_the_limit<S: Store>(store: S) {
    let store = Arc::new(store);
    for (limit, on_limit) in [
        (1, OnLimit::RejectNew),
        (3, OnLimit::RejectNew),
        (1, OnLimit::EndOldest),
        (3, OnLimit::EndOldest),
        (3, OnLimit::EndLeastRecent),
    ] {
        let name = format!("{limit} {on_limit:?}");
        let subject = Subject::from(&name);
        let sessions = SessionLayer::<Account, _>::new(Arc::clone(&store))
            .max_sessions(limit, on_limit)
            .remember_ended(Duration::from_secs(3600));
        let over = AtomicBool::new(false);
        let watching = async {
            let mut most = 0;
            while !over.load(Ordering::SeqCst) {
                most = most.max(at_once(&*store, &subject).await);
            }
            most
        };
        let logins = async {
            let logins = (0..LOGINS).map(|number| {
                let (sessions, name) = (sessions.clone(), name.clone());
                async move {
                    let exchange = sessions.open([]);
                    let session = exchange.session().await.unwrap();
                    if number % 2 == 0 {
                        // Somebody who looked around first.
                        session.update(|account| account.visits = 1);
                        session.commit().await.unwrap();
                    }
                    session.update(|account| account.user = Some(name));
                    (session.clone(), exchange.finish().await.error)
                }
            });
            let outcomes = join_all(logins).await;
            over.store(true, Ordering::SeqCst);
            outcomes
        };
        let (most, outcomes) = join(watching, logins).await;
        assert!(most <= limit, "{name}: {most} at once");
        let left = look(&*store, &subject).await;
        let (mut done, mut full, mut displaced) = (0, 0, 0);
        for (session, error) in outcomes {
            match error {
                None => done += 1,
                Some(Error::TooManySessions) => full += 1,
                Some(Error::Lost(Verdict::Ended(EndReason::Displaced))) => displaced += 1,
                Some(error) => panic!("{name}: {error:?}"),
            }
            if session.key().is_some_and(|key| left.contains(&key)) {
                assert!(session.read(|account| account.user.is_some()));
            }
        }
        println!("{name}: {done} in, {full} refused, {displaced} displaced; {most} seen at once");
        assert_eq!(left.len(), limit, "{name}: as many as may be are in");
        match on_limit {
            OnLimit::RejectNew => assert_eq!((done, full), (limit, LOGINS - limit), "{name}"),
            _ => assert!(done >= limit && full == 0, "{name}"),
        }
    }
}
