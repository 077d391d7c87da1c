//! Sockets that are told by the engine, or by nobody, that another machine has ended their session.

use std::time::Duration;

use typed_session::store::{Changes, PostgresStore, RedisStore, Store};
use typed_session::{EndReason, Session, SessionData, SessionLayer, Subject, Verdict, Watch};

use crate::cached::manager;
use crate::server::{Kind, Server, shared};
use crate::{postgres, redis as redis_tests};

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Chat {
    user: Option<u64>,
}

impl SessionData for Chat {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

async fn log_in<S: Store>(sessions: &SessionLayer<Chat, S>) -> Session<Chat> {
    let exchange = sessions.open([]);
    let session = exchange.session().await.unwrap();
    session.update(|chat| chat.user = Some(7));
    assert!(exchange.finish().await.error.is_none());
    session
}

/// What a socket's task comes to, in half a minute at most.
async fn told(socket: tokio::task::JoinHandle<Verdict>) -> Verdict {
    let told = tokio::time::timeout(Duration::from_secs(30), socket);
    told.await.expect("it is told").unwrap()
}

const ENDED: Verdict = Verdict::Ended(EndReason::Revoked);

/// With the engine's word and no clock at all.
async fn by_the_word<C: Changes + 'static>(here: impl Store, there: impl Store, changes: C) {
    let watch = Watch::new();
    let here = SessionLayer::<Chat, _>::new(here);
    let there = SessionLayer::<Chat, _>::new(there);
    let following = watch.clone();
    let following = tokio::spawn(async move { following.follow(changes).await });
    for _ in 0..10 {
        let session = log_in(&here).await;
        let key = session.key().unwrap();
        let mut sockets = Vec::new();
        for _ in 0..5 {
            sockets.push(waiting(&watch, &session).await);
        }
        let bystander = waiting(&watch, &log_in(&here).await).await;
        there.end(&key, EndReason::Revoked).await.unwrap();
        for socket in sockets {
            assert_eq!(told(socket).await, ENDED);
        }
        assert!(!bystander.is_finished(), "nobody has ended that one");
        bystander.abort();
    }
    assert!(!following.is_finished());
    following.abort();
}

/// A socket's task that has looked, and waits.
async fn waiting(watch: &Watch, session: &Session<Chat>) -> tokio::task::JoinHandle<Verdict> {
    let mut watcher = watch.watch(session);
    let looked = tokio::time::timeout(Duration::from_millis(30), watcher.ended()).await;
    assert!(looked.is_err(), "it lives: {looked:?}");
    tokio::spawn(async move { watcher.ended().await })
}

/// Without any word, within the interval.
async fn by_the_interval(here: impl Store, there: impl Store) {
    let watch = Watch::new();
    let (here, there) = (SessionLayer::<Chat, _>::new(here), SessionLayer::<Chat, _>::new(there));
    let interval = Duration::from_millis(160);
    let checking = tokio::spawn(watch.clone().check_every(interval, tokio::time::sleep));
    let session = log_in(&here).await;
    let mut watcher = watch.watch(&session);
    let socket = tokio::spawn(async move { watcher.ended().await });
    there.end(&session.key().unwrap(), EndReason::Revoked).await.unwrap();
    assert_eq!(told(socket).await, ENDED);
    checking.abort();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn asvs_4_4_4_redis_tells_a_socket_of_an_end_on_another_machine() {
    let client = redis::Client::open(shared(Kind::Redis)).unwrap();
    let store = RedisStore::new(manager().await).prefix(redis_tests::fresh_prefix());
    let changes = store.changes(&client).await.unwrap();
    by_the_word(store.clone(), store, changes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn asvs_4_4_4_postgres_tells_a_socket_of_an_end_on_another_machine() {
    let (store, pool) = postgres::store("watching_word").await;
    let there = PostgresStore::new(pool).table("watching_word").unwrap();
    let there = there.notify_changes("watching_word").unwrap();
    let changes = store.changes("watching_word").await.unwrap();
    by_the_word(store, there, changes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn asvs_4_4_4_a_socket_on_redis_and_postgres_learns_of_an_end_within_the_interval() {
    let store = RedisStore::new(manager().await).prefix(redis_tests::fresh_prefix());
    by_the_interval(store.clone(), store).await;
    let (store, pool) = postgres::store("watching_interval").await;
    by_the_interval(store, PostgresStore::new(pool).table("watching_interval").unwrap()).await;
}

/// The server dies with the source: no socket ends by it, and after it all is as before.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn asvs_4_4_3_a_killed_server_ends_no_socket_and_hides_no_end() {
    let server = Server::start(Kind::Redis);
    let client = redis::Client::open(server.url()).unwrap();
    let store = RedisStore::new(client.get_connection_manager().await.unwrap());
    let sessions = SessionLayer::<Chat, _>::new(store.clone());
    let watch = Watch::new();
    let interval = Duration::from_millis(160);
    let checking = tokio::spawn(watch.clone().check_every(interval, tokio::time::sleep));
    let changes = store.changes(&client).await.unwrap();
    let following = watch.clone();
    let following = tokio::spawn(async move { following.follow(changes).await });

    let session = log_in(&sessions).await;
    let mut watcher = watch.watch(&session);
    let mut socket = tokio::spawn(async move { watcher.ended().await });
    // It has everything on disk.
    server.stop();
    let error = tokio::time::timeout(Duration::from_secs(30), following).await;
    drop(error.expect("the source says that it is lost").unwrap());
    let outage = tokio::time::timeout(Duration::from_millis(500), &mut socket).await;
    assert!(outage.is_err(), "an outage is not a logout: {outage:?}");
    server.restart();
    let end = async {
        while sessions.end(&session.key().unwrap(), EndReason::Revoked).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), end).await.expect("the server is back");
    assert_eq!(told(socket).await, ENDED);
    checking.abort();
}
