//! Messages for the next page: kept until they are shown, once.
//!
//! A handler that changes something redirects, and the page behind the redirect is to say what
//! came of it. A [`Flash`] is a field of the session's data that holds what it is to say.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use typed_session::flash::{Flash, Message};
//! use typed_session::{Session, SessionData};
//!
//! #[derive(Default, Deserialize, Serialize)]
//! #[serde(default)]
//! struct Shop {
//!     basket: Vec<String>,
//!     flash: Flash,
//! }
//!
//! impl SessionData for Shop {}
//!
//! /// Of a `POST`, which redirects.
//! fn buy(session: &Session<Shop>, item: String) {
//!     session.update(|shop| {
//!         shop.flash.push(Message::success(format!("{item} is in your basket.")));
//!         shop.basket.push(item);
//!     });
//! }
//!
//! /// Of the page, whose template escapes the text.
//! fn page(session: &Session<Shop>) -> Vec<Message> {
//!     session.update(|shop| shop.flash.take())
//! }
//! # use typed_session::{SessionLayer, store::MemoryStore};
//! # futures_executor::block_on(async {
//! # let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
//! # let exchange = sessions.open([]);
//! # let session = exchange.session().await?;
//! # buy(&session, "tea".to_owned());
//! # assert_eq!(page(&session), [Message::success("tea is in your basket.")]);
//! # assert!(page(&session).is_empty());
//! # Ok::<(), typed_session::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Requests at the same time
//!
//! As long as there are no more than [`CAPACITY`](Flash::CAPACITY), a message is neither lost nor
//! does it come back, whatever requests push and take at the same time: each message is merged by
//! itself.
//!
//! | one request | another one, at the same time | then |
//! | --- | --- | --- |
//! | pushes | pushes | both are kept |
//! | takes | pushes | what was taken is gone, what was pushed is kept |
//! | takes | takes | both show it, and it is gone |
//!
//! To show it on one of the two pages alone, take it by [`transact`](crate::Session::transact):
//! `session.transact(|shop| shop.flash.take()).await?` returns each message to one request, at the
//! price of a trip to the store at once.
//!
//! A message is taken when the response's headers leave. If that response gets lost on its way, so
//! does the message; if it could not be stored that it was taken, the response is an error, and the
//! message is there for the next one.
//!
//! # Who sees it
//!
//! A message to a visitor is still there after their login, and one to a user after their logout to
//! a visitor. On a switch from one user to another, what was pushed for the first is gone, and what
//! the switching request has pushed itself is kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::entropy::{Entropy, SystemEntropy};

/// Messages for the next page, in a field of the session's data.
///
/// `M` is anything that serde can store; [`Message`] has a level and a text. There are at most
/// [`CAPACITY`](Self::CAPACITY) of them: of more, the oldest goes. A few more may come together
/// when several requests push at the same time.
///
/// It is stored as a map, also if it is empty. Give the field no `skip_serializing_if`, and do not put
/// it into an `Option`: a switch of users could not tell then what was whose.
///
/// The [module](self) says how to use it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Flash<M = Message> {
    /// In the order of the keys, which begin with the place in the row. The rest of a key is random, so that two
    /// requests never give one key to two messages: a merge tells messages by their keys.
    messages: BTreeMap<String, M>,
}

impl<M> Flash<M> {
    /// How many messages are kept.
    pub const CAPACITY: usize = 16;

    /// Returns the messages without taking them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &M> {
        self.messages.values()
    }

    /// Tells whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message for the next page that takes it.
    pub fn push(&mut self, message: M) {
        while self.messages.len() >= Self::CAPACITY {
            self.messages.pop_first();
        }
        let last = self.messages.last_key_value();
        let place = last.map_or(0, |(key, _)| place(key).saturating_add(1));
        let mut unique = [0; 8];
        // Without randomness two that are pushed at the same time might be one; nothing worse.
        drop(SystemEntropy.fill(&mut unique));
        let key = format!("{place:08x}{:016x}", u64::from_be_bytes(unique));
        self.messages.insert(key, message);
    }

    /// Takes all messages, the oldest first, to show them.
    ///
    /// If there is none, nothing is changed, and nothing stored.
    #[must_use = "what is taken and not shown, nobody sees"]
    pub fn take(&mut self) -> Vec<M> {
        std::mem::take(&mut self.messages).into_values().collect()
    }

    /// Takes some of the messages, the oldest first: those of one level, say.
    #[must_use = "what is taken and not shown, nobody sees"]
    pub fn take_if(&mut self, mut which: impl FnMut(&M) -> bool) -> Vec<M> {
        self.messages.extract_if(.., |_, message| which(message)).map(|(_, taken)| taken).collect()
    }
}

/// The place in the row, of a key.
fn place(key: &str) -> u32 {
    key.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

impl<M> Default for Flash<M> {
    fn default() -> Self {
        Self { messages: BTreeMap::new() }
    }
}

/// Shows how many there are, and no message.
impl<M> fmt::Debug for Flash<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flash({})", self.messages.len())
    }
}

/// A message: how grave it is, and what it says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Message {
    /// How grave it is.
    pub level: Level,
    /// What it says: text and no HTML, so the template must escape it.
    pub text: String,
}

impl Message {
    /// How many bytes of a text are kept.
    pub const MAX_LEN: usize = 1024;

    /// Makes a message. What is longer than [`MAX_LEN`](Self::MAX_LEN) is cut off.
    #[must_use]
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(Self::MAX_LEN));
        Self { level, text }
    }

    /// Makes a message that tells something.
    #[must_use]
    pub fn info(text: impl Into<String>) -> Self {
        Self::new(Level::Info, text)
    }

    /// Makes a message that something is done.
    #[must_use]
    pub fn success(text: impl Into<String>) -> Self {
        Self::new(Level::Success, text)
    }

    /// Makes a message that something should be looked at.
    #[must_use]
    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(Level::Warning, text)
    }

    /// Makes a message that something went wrong.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::new(Level::Error, text)
    }
}

/// How grave a message is, the least first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It tells something.
    Info,
    /// Something is done.
    Success,
    /// Something should be looked at.
    Warning,
    /// Something went wrong.
    Error,
}

impl Level {
    /// Returns the level in lower case, for the class of an element.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
