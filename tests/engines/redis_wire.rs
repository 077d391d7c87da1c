//! A connection that counts its round trips and can be lost between two of them.

use std::sync::{Arc, Mutex};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::sync::Notify;

#[derive(Clone)]
pub(crate) struct Wire<C> {
    inner: C,
    state: Arc<Mutex<State>>,
    lost: Arc<Notify>,
}

#[derive(Default)]
struct State {
    trips: Vec<String>,
    /// What becomes of the trip of this number, from 0, and of those after it.
    loss: Option<(usize, Loss)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// The request never arrives.
    OfRequest,
    /// It is carried out, and nobody hears of it.
    OfReply,
}

impl<C> Wire<C> {
    pub(crate) fn new(inner: C) -> Self {
        Self { inner, state: Arc::default(), lost: Arc::default() }
    }

    /// What was sent since the last call, one text a round trip.
    pub(crate) fn trips(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().trips)
    }

    pub(crate) fn lose(&self, trip: usize, loss: Loss) {
        let mut state = self.state.lock().unwrap();
        state.trips.clear();
        state.loss = Some((trip, loss));
    }

    /// Runs a verb until it is ready, or the connection is lost under it and it is dropped.
    pub(crate) async fn until_lost<T>(&self, verb: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = verb => Some(done),
            () = self.lost.notified() => None,
        }
    }

    /// Whether this trip, of which a note is made, is lost.
    fn begin(&self, text: String) -> Option<Loss> {
        let mut state = self.state.lock().unwrap();
        state.trips.push(text);
        let number = state.trips.len() - 1;
        state.loss.filter(|(from, _)| number >= *from).map(|(_, loss)| loss)
    }
}

fn words<'a>(commands: impl Iterator<Item = &'a Cmd>) -> String {
    let word = |command: &Cmd| match command.args_iter().next() {
        Some(redis::Arg::Simple(word)) => String::from_utf8_lossy(word).into_owned(),
        _ => String::new(),
    };
    commands.map(word).collect::<Vec<_>>().join(" ")
}

impl<C: ConnectionLike + Send> ConnectionLike for Wire<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let loss = self.begin(words([cmd].into_iter()));
        Box::pin(async move {
            if loss != Some(Loss::OfRequest) {
                let answer = self.inner.req_packed_command(cmd).await;
                if loss.is_none() {
                    return answer;
                }
            }
            self.lost.notify_one();
            std::future::pending().await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let loss = self.begin(words(cmd.cmd_iter()));
        Box::pin(async move {
            if loss != Some(Loss::OfRequest) {
                let answer = self.inner.req_packed_commands(cmd, offset, count).await;
                if loss.is_none() {
                    return answer;
                }
            }
            self.lost.notify_one();
            std::future::pending().await
        })
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}
