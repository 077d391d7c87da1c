//! What the handlers of the application under test call.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Shop, Theme};
use crate::error::Error;
use crate::lifetime::Lifetime;
use crate::session::Session;

/// What the handlers of the application under test call; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Handlers that have come to a pause, ever.
    arrived: usize,
    /// How many of them may go on.
    released: usize,
    /// How many of them are no longer there, because they went on or were dropped.
    left: usize,
    /// Of all who wait, on either side.
    wakers: Vec<Waker>,
    also: Also,
}

/// What a visit does besides, in some stories.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Also {
    #[default]
    Nothing,
    Login,
    Logout,
}

impl Stage {
    /// Does with the session what the action says, and returns the text of the response.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub async fn act(&self, session: &Session<Shop>, action: &str) -> Result<String, Error> {
        match action {
            "read" => {}
            "visit" => drop(self.visit(session)),
            "nothing" => session.update(|shop| shop.visits += 0),
            "login" => drop(self.login(session)),
            "switch" => session.update(|shop| shop.user = Some("eve".to_owned())),
            "leave" => session.update(|shop| shop.user = None),
            "logout" => session.end(),
            "rotate" => session.rotate(),
            "reauthenticate" => session.reauthenticate(),
            "stay" => session.set_lifetime(STAY),
            "transact" => session.transact(|shop| shop.visits += 1).await?,
            "commit" => {
                self.visit(session);
                session.commit().await?;
            }
            "verdict" => return Ok(session.verdict().to_string()),
            "user" => return Ok(session.read(|shop| shop.user.clone()).unwrap_or_default()),
            _ => return Ok(format!("there is no action {action}")),
        }
        Ok(session.read(|shop| shop.visits.to_string()))
    }

    /// Counts a visit, and returns how many there were. In some stories it logs bob in as well, or
    /// whoever is there out.
    pub fn visit(&self, session: &Session<Shop>) -> String {
        let also = self.state().also;
        match also {
            Also::Nothing => {}
            Also::Login => drop(self.login(session)),
            Also::Logout => {
                session.end();
                return String::new();
            }
        }
        session.update(|shop| {
            shop.visits += 1;
            shop.visits.to_string()
        })
    }

    /// Logs bob in.
    pub fn login(&self, session: &Session<Shop>) -> String {
        session.update(|shop| shop.user = Some("bob".to_owned()));
        "bob".to_owned()
    }

    /// Changes one handle, and returns what the other one says.
    pub fn twice(&self, one: &Session<Shop>, other: &Session<Shop>) -> String {
        self.visit(one);
        other.read(|shop| shop.visits.to_string())
    }

    /// Changes both sessions.
    pub fn both(&self, shop: &Session<Shop>, theme: &Session<Theme>) -> String {
        theme.update(|theme| theme.dark = true);
        self.visit(shop)
    }

    /// Waits until the client lets it go on.
    pub fn pause(&self) -> impl Future<Output = ()> + Send + 'static {
        Pause { stage: self.clone(), number: None }
    }

    /// Lets everybody go on, and lets visits be visits.
    pub(super) fn reset(&self) {
        self.visits_do(Also::Nothing);
        self.release();
    }

    /// Sets what visits do besides, until the next [`reset`](Self::reset).
    pub(super) fn visits_do(&self, also: Also) {
        self.state().also = also;
    }

    /// Returns how many have come to a pause, ever.
    pub(super) fn arrivals(&self) -> usize {
        self.state().arrived
    }

    /// Waits until so many have come to a pause.
    pub(super) async fn until_arrived(&self, count: usize) {
        self.until(|state| state.arrived >= count).await;
    }

    /// Waits until nobody is in a pause.
    pub(super) async fn until_empty(&self) {
        self.until(|state| state.left == state.arrived).await;
    }

    /// Lets those who are in a pause go on.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.released = state.arrived;
        state.wake();
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let mut state = self.state();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// For those who stay signed in.
const STAY: Lifetime = Lifetime::new(DAY.saturating_mul(14), DAY.saturating_mul(90)).persistent();
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Pause {
    stage: Stage,
    /// Its place among all who came, once it has come.
    number: Option<usize>,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let stage = self.stage.clone();
        let mut state = stage.state();
        let number = *self.number.get_or_insert_with(|| {
            state.arrived += 1;
            state.wake();
            state.arrived
        });
        if number <= state.released {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if self.number.is_some() {
            let mut state = self.stage.state();
            state.left += 1;
            state.wake();
        }
    }
}
