//! What the shop knows of a visitor.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::flash::{Flash, Message};
use typed_session::{Lifetime, SessionData, Subject};

/// The data of a session: an ordinary struct.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)] // a field that is added later is no migration
pub struct Shop {
    pub visits: u64,
    pub user: Option<String>,
    pub basket: Vec<String>,
    /// What the next page is to say, once.
    pub flash: Flash,
}

impl SessionData for Shop {
    /// Who is logged in. When this changes, the id of the session does, by itself; and on a switch
    /// from one user to another, nothing of the first one's data reaches the second.
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

impl Shop {
    /// Puts an item into the basket, unless it is full.
    pub fn add(&mut self, item: &str) -> Result<(), Full> {
        if self.basket.len() == MAX_BASKET {
            return Err(Full);
        }
        self.basket.push(item.to_owned());
        self.say(format!("{item} is in your basket."));
        Ok(())
    }
}

impl Shop {
    /// Somebody logs in.
    pub fn welcome(&mut self, user: String) {
        self.say(format!("Welcome, {user}."));
        self.user = Some(user);
    }

    /// Says something on the next page.
    pub(crate) fn say(&mut self, sentence: impl Into<String>) {
        self.flash.push(Message::success(sentence));
    }
}

/// The basket holds no more.
#[derive(Debug)]
pub struct Full;

/// For those who tick "stay signed in": two weeks without a visit, 90 days at most.
pub const STAY: Lifetime =
    Lifetime::new(DAY.saturating_mul(14), DAY.saturating_mul(90)).persistent();

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const MAX_BASKET: usize = 500;
