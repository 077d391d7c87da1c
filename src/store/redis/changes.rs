//! Hearing of changes from the engine.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, Value};

use super::RedisStore;
use super::error::failed;
use crate::store::{Change, Changes, Error, ErrorKind, Result};

impl<C: ConnectionLike> RedisStore<C> {
    /// Listens to the changes of this store's records, on a connection of its own.
    ///
    /// It is the engine's client tracking, in broadcast: every writer is heard, whatever
    /// it is, and expiry as well. Nothing is asked of the writers. For one
    /// server: in a cluster each one tells of its own records alone.
    ///
    /// The first change is [`Change::Missed`], since nothing was heard before. If the
    /// connection is lost, [`next`](Changes::next) fails: listen again. A connection that
    /// is cut without a word is noticed by the keep-alive of TCP, which the client's
    /// `TcpSettings` have, and which is off by default.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or speaks no RESP3.
    pub async fn changes(&self, client: &Client) -> Result<RedisChanges> {
        let info = client.get_connection_info();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.clone().set_redis_settings(settings)).map_err(failed)?;
        let heard = Arc::new(Heard::default());
        heard.push(Change::Missed);
        let (ears, prefix) = (Arc::clone(&heard), Arc::clone(&self.prefix));
        let config = AsyncConnectionConfig::new().set_push_sender(move |push| {
            ears.take_in(&push, &prefix);
            Ok::<_, Infallible>(())
        });
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(failed)?;
        let mut command = redis::cmd("CLIENT");
        command.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&*self.prefix);
        command.exec_async(&mut connection).await.map_err(failed)?;
        Ok(RedisChanges { heard, _connection: connection })
    }
}

/// Changes in a [`RedisStore`], as they happen.
pub struct RedisChanges {
    heard: Arc<Heard>,
    /// It is closed with its last handle.
    _connection: MultiplexedConnection,
}

impl Changes for RedisChanges {
    async fn next(&mut self) -> Result<Change> {
        poll_fn(|context| {
            self.heard.waker.register(context.waker());
            let mut queue = self.heard.queue();
            match queue.waiting.pop_front() {
                Some(change) => Poll::Ready(Ok(change)),
                None if queue.is_over => Poll::Ready(Err(lost())),
                None => Poll::Pending,
            }
        })
        .await
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection that told of changes is lost")
}

impl fmt::Debug for RedisChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisChanges").finish_non_exhaustive()
    }
}

/// What was heard and not yet asked for.
#[derive(Default)]
struct Heard {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Change>,
    is_over: bool,
}

/// More than this many, and it is cheaper to forget all.
const MOST: usize = 10_000;

impl Heard {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, change: Change) {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST || change == Change::Missed {
            queue.waiting.clear();
            queue.waiting.push_back(Change::Missed);
        } else {
            queue.waiting.push_back(change);
        }
        drop(queue);
        self.waker.wake();
    }

    fn take_in(&self, push: &PushInfo, prefix: &str) {
        match push.kind {
            PushKind::Disconnection => {
                self.queue().is_over = true;
                self.waker.wake();
            }
            PushKind::Invalidate => match &push.data[..] {
                [Value::Array(names)] => {
                    for name in names {
                        let Value::BulkString(name) = name else { continue };
                        if let Some(key) = super::key_of(name, prefix) {
                            self.push(Change::Key(key));
                        }
                    }
                }
                // All of the database was emptied.
                _ => self.push(Change::Missed),
            },
            _ => {}
        }
    }
}
