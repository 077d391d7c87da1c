//! What the user declares: the data of a session.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use serde_json::Value;

use crate::merge::{self, MergeError, Merged, OnConflict};
use crate::subject::Subject;

/// The data of a session: one struct of the application's own.
///
/// Everything but the bounds has a default. Say at least who is logged in:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use typed_session::{SessionData, Subject};
///
/// #[derive(Default, Serialize, Deserialize)]
/// #[serde(default)] // a field that is added later is no migration
/// struct Shop {
///     user: Option<u64>,
///     basket: Vec<String>,
/// }
///
/// impl SessionData for Shop {
///     fn subject(&self) -> Option<Subject> {
///         self.user.map(Subject::from)
///     }
/// }
/// ```
///
/// [`Default`] is the data of a visitor without a session, and what a session must differ from to be
/// stored for the first time. It is the same each time: a layer asks for it once and keeps its bytes.
pub trait SessionData: Default + Serialize + DeserializeOwned + Send + 'static {
    /// The version of the data's schema, kept with the data.
    ///
    /// A field that is added with `#[serde(default)]`, or dropped, needs no new
    /// version. Raise it where the meaning of a field changes, and say in
    /// [`migrate`](Self::migrate) how to read the old one.
    const VERSION: u32 = 0;

    /// What happens to a value that two requests changed at the same time.
    ///
    /// By default the later one wins, and an event says so. See
    /// [`merge`](Self::merge).
    const ON_CONFLICT: OnConflict = OnConflict::LaterWins;

    /// Returns who the session belongs to, or `None` for a visitor.
    ///
    /// # Security
    ///
    /// The id of the session changes whenever this does, by itself, and the old
    /// id is dead at once (OWASP ASVS 5.0, 7.2.4). Without it there is no
    /// protection against session fixation but [`rotate`](crate::Session::rotate),
    /// and no "log out everywhere".
    fn subject(&self) -> Option<Subject> {
        None
    }

    /// Reads data that was written under another [`VERSION`](Self::VERSION).
    ///
    /// `None`, which is the default, means that it cannot be read: the verdict is
    /// [`Undecodable`](crate::Verdict::Undecodable), the row is kept, and the
    /// user gets a fresh session.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use typed_session::{SessionData, data::Value};
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Visits {
    ///     count: u64,
    /// }
    ///
    /// impl SessionData for Visits {
    ///     const VERSION: u32 = 2;
    ///
    ///     fn migrate(from: u32, mut value: Value) -> Option<Self> {
    ///         if from < 2 {
    ///             // The field was called `n`, and counted from zero.
    ///             value["count"] = (value["n"].as_u64()? + 1).into();
    ///         }
    ///         serde_json::from_value(value).ok()
    ///     }
    /// }
    ///
    /// let old = serde_json::json!({ "n": 6 });
    /// assert_eq!(Visits::migrate(1, old).unwrap().count, 7);
    /// ```
    fn migrate(from: u32, value: Value) -> Option<Self> {
        let _ = (from, value);
        None
    }

    /// Merges what this request made of the data with what another one has
    /// committed since this one loaded.
    ///
    /// The default is [`merge::three_way`] under [`ON_CONFLICT`](Self::ON_CONFLICT).
    ///
    /// # Errors
    ///
    /// That there is no merge. The change is then not kept, and the response is
    /// a 409.
    fn merge(base: &Self, ours: &Self, theirs: &Self) -> Result<Merged<Self>, MergeError> {
        merge::three_way(base, ours, theirs, Self::ON_CONFLICT)
    }

    /// Carries data from one subject to the next, on a switch straight from one
    /// to another.
    ///
    /// `to` holds what this request wrote, and the default of everything else;
    /// `from` is the data as it was loaded. The default carries nothing.
    ///
    /// # Security
    ///
    /// What is carried, the next user sees. A language, perhaps; no basket.
    fn carry(from: &Self, to: &mut Self) {
        let _ = (from, to);
    }
}
