//! Typed, server-side HTTP sessions.
//!
//! The application declares one struct, its session data. [`SessionLayer`] joins that struct, a
//! store and a web framework; a handler gets a [`Session`] and reads and changes plain fields.
//! Ids, cookies, expiry, logout and requests that run at the same time are the library's work.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::post};
//! use serde::{Deserialize, Serialize};
//! use typed_session::{Session, SessionData, SessionLayer, Subject, store::MemoryStore};
//!
//! #[derive(Default, Deserialize, Serialize)]
//! #[serde(default)]
//! struct Shop {
//!     user: Option<u64>,
//!     cart: Vec<String>,
//! }
//!
//! impl SessionData for Shop {
//!     fn subject(&self) -> Option<Subject> {
//!         self.user.map(Subject::from) // who is logged in, if anyone
//!     }
//! }
//!
//! async fn add(session: Session<Shop>, item: String) -> String {
//!     session.update(|shop| shop.cart.push(item));
//!     format!("{} items", session.read(|shop| shop.cart.len()))
//! }
//!
//! async fn login(session: Session<Shop>) {
//!     session.update(|shop| shop.user = Some(42)); // the id changes by itself
//! }
//!
//! async fn logout(session: Session<Shop>) {
//!     session.end();
//! }
//!
//! let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
//! let app: Router = Router::new()
//!     .route("/add", post(add))
//!     .route("/login", post(login))
//!     .route("/logout", post(logout))
//!     .layer(sessions);
//! # drop(app);
//! ```
//!
//! Without any framework it is three calls: [`SessionLayer::open`] with the values of the request
//! header that [`request_header`](SessionLayer::request_header) names, `cookie` by default;
//! [`Exchange::session`]; and [`Exchange::finish`], which returns the headers to send. The example is
//! at `open`. [`SessionLayer::receive`] looks at where the request comes from, too.
//!
//! # Map
//!
//! | you want to | look at |
//! | --- | --- |
//! | say what a session holds, who is logged in, how old data is read | [`SessionData`] |
//! | choose a store, set limits, cookie and more | [`SessionLayer`], [`store`], [`Lifetime`], [`cookie::CookiePolicy`] |
//! | serve programs and apps, which keep no cookies | [`SessionLayer::transport`], [`Transport`] |
//! | refuse made-up ids without asking the store, or encrypt ids | [`SessionLayer::sign_ids`], [`IdForm`], [`KeyRing`], [`manual::keys`] |
//! | read, change, log in, log out, in a handler | [`Session::read`], [`Session::update`], [`Session::end`] |
//! | count, or use up a token that is good once | [`Session::transact`] |
//! | let nobody in who is not logged in, or not lately | [`Authenticated`], [`AuthenticatedWithin`], [`Guard`], [`SessionLayer::login_page`] |
//! | ask for a second check, good once | [`Grants`] |
//! | offer "stay signed in" | [`Session::set_lifetime`] |
//! | keep other sites from acting in your users' name | on by default: [`csrf::OriginCheck`]; tokens for forms: [`Session::csrf_token`] |
//! | say on the next page what came of this one | [`flash::Flash`] |
//! | know why there is no session | [`Session::verdict`], [`Verdict`] |
//! | show users their sessions, and let them end each | [`SessionLayer::sessions_of`], [`SessionLayer::end_of`], [`manual::users_and_devices`] |
//! | log a user out everywhere, or everywhere else | [`SessionLayer::end_all`], [`SessionLayer::end_others`] |
//! | log out everybody, or end one session by its key | [`SessionLayer::end_everyone`], [`SessionLayer::end`] |
//! | limit how many sessions a user has | [`SessionLayer::max_sessions`] |
//! | notice that a session turns up at another client | [`SessionLayer::client_info`] |
//! | remove what has expired | [`SessionLayer::sweep_every`] |
//! | write down the rules of your sessions, and hold them to OWASP ASVS in a test | [`SessionLayer::audit`], [`policy`] |
//! | set no cookie before the visitor agrees | [`SessionLayer::require_consent`], [`Session::give_consent`] |
//! | let a socket or a stream learn that its session has ended | [`Watch`], [`Session::check`] |
//! | watch what happens | [`Observer`], [`Event`], `TracingObserver` |
//! | hear of those who guess ids | [`Guesses`] |
//! | know how parallel changes are merged | [`merge`] |
//! | keep the data from whoever reads the store | `SessionLayer::seal_data`, [`manual::encrypted_data`] |
//! | keep no sessions at all, but in the clients' cookies | `SessionLayer::stateless`, `Stateless`, [`manual::stateless`] |
//! | read how it is done, or move here from another library | [`manual`] |
//! | write a store | [`manual::writing_a_store`]; the documentation of [`store::Store`] is the contract, and `testing::conformance` runs it |
//! | use it in your framework | [`adapter`]: a page for each |
//! | write an adapter | [`manual::writing_an_adapter`]; `testing::adapter` has the stories, that is tests, that it must pass |
//! | test with time and randomness in hand | [`Clock`], [`Entropy`], and the feature `testing` |
//!
//! # Features
//!
//! None is on by default. A feature adds names and never changes what others do.
//!
//! | feature | adds |
//! | --- | --- |
//! | `axum` | `Session<T>` as an extractor of axum 0.8; switches `tower` on |
//! | `tower` | [`SessionLayer`] as a tower `Layer`, for services on `http` 1 |
//! | `poem` | [`SessionLayer`] as a middleware of poem 3, `Session<T>` as an extractor |
//! | `salvo` | [`SessionLayer`] as a salvo 1 handler, for `Router::hoop`, `Session<T>` as an extractor |
//! | `viz` | [`SessionLayer`] as a transform of viz 0.11, `Session<T>` as an extractor |
//! | `actix-web` | [`SessionLayer`] as a `Transform` of actix-web 4, `Session<T>` as an extractor |
//! | `ntex` | [`SessionLayer`] as a `Middleware` of ntex 4, `Session<T>` as an extractor; from Rust 1.97 |
//! | `rocket` | [`SessionLayer`] as a fairing of rocket 0.5, `Session<T>` as a request guard |
//! | `sqlite` | `store::SqliteStore`, on a pool of sqlx 0.9 |
//! | `postgres` | `store::PostgresStore`, on a pool of sqlx 0.9 |
//! | `mysql` | `store::MySqlStore`, for MySQL and MariaDB, on a pool of sqlx 0.9 |
//! | `redis` | `store::RedisStore`, for Redis, Valkey and their clusters, on a connection of redis-rs 1 |
//! | `mongodb` | `store::MongoStore`, on a client of mongodb 3 |
//! | `cache` | `store::Cached`: records in the process, in front of any store |
//! | `sealed` | `SessionLayer::seal_data`: session data that no store can read; `IdForm::private`: ids that are encrypted in the cookie or header; `SessionLayer::stateless`: sessions without a store |
//! | `cli` | the operator's command `typed-session`, with all stores that have a URL |
//! | `tracing` | `TracingObserver`: events as `tracing` events |
//! | `messagepack` | `Encoding::MessagePack` beside JSON |
//! | `testing` | `testing`: a clock to move by hand, stores that count and fail, a browser's cookie jar, the store contract as a test, histories and their checker, a TCP proxy that loses replies |
//! | `adapter-suite` | `testing::adapter`: the stories, that is tests, that every adapter must pass, over real connections; switches `testing` on |
//!
//! # What each request costs and causes
//!
//! Store calls are counted as the [verbs](store::Store) that are called. As soon as a handler asks
//! for the session, the response has `Vary: Cookie`; with every `Set-Cookie` and every failure goes
//! `Cache-Control: no-store`. Other transports: see below.
//!
//! | the cookie is | the handler | store calls | the response |
//! | --- | --- | --- | --- |
//! | any or none | does not ask for the session | none | as it was |
//! | none, or malformed | reads | none | no cookie |
//! | none, or malformed | changes data | `insert` | a cookie |
//! | of a live session | reads, or changes nothing after all | `load` | no cookie |
//! | .. whose last touch is a while ago | reads | `load`, `touch` | no cookie |
//! | .. and that cookie is persistent | reads | `load`, `replace` | the cookie with a new `Max-Age`: by a compare-and-swap, lest it overwrites a login's |
//! | .. | changes data | `load`, `replace` | no cookie; a persistent one is renewed now and then |
//! | .. | logs in or out by the data, or calls `reauthenticate` or `rotate` | `load`, `replace` | a cookie with a new id |
//! | .. | calls `end` | `load`, `replace` | the removal of the cookie; `Clear-Site-Data` if asked for |
//! | .. | calls `transact` | `load`, `replace` at once, and again until it fits | no cookie |
//! | .. | calls `transact`, and changes nothing | `load`, `load` at once: what it saw is still so | no cookie |
//! | .. that another request changes meanwhile | changes data | `load`, and `replace` until it fits | no cookie |
//! | .. that another request ends meanwhile | changes data | `load`, `replace` | 409, no cookie |
//! | unknown, forged, expired, ended, unreadable | reads | `load` | no cookie |
//! | unknown, forged, expired, ended, unreadable | changes data | `load`, `insert` | a cookie of a new session |
//! | superseded | reads | `load` | no cookie |
//! | superseded | changes data, or calls `end` | `load` | 409, no cookie |
//! | any or none, and [another site](csrf::OriginCheck) has caused the request | is not called, if the request may change something | none | 403, no cookie |
//! | of the form of an id, and the store is down | asks for the session | one that fails | 503, no cookie |
//!
//! With [`Transport::bearer`] or [`Transport::header`] it is all the same, but for this:
//!
//! | with a cookie | with `Authorization` | with a header `x-session` |
//! | --- | --- | --- |
//! | the request's `Cookie` fields, and a cookie of our name among them | its `Authorization` fields, and those of the scheme `Bearer` among them | its `X-Session` fields |
//! | `Vary: Cookie` | `Vary: Authorization` | `Vary: x-session` |
//! | a cookie with a new id | `authorization: Bearer <id>` | `x-session: <id>` |
//! | the removal of the cookie | `authorization:`, empty | `x-session:`, empty |
//! | a persistent one is renewed: `load`, `replace` | `load`, `touch`, and no header | `load`, `touch`, and no header |
//!
//! Behind a `store::Cached`, a `load` makes no trip to the store while the session is remembered and
//! its id fits what is remembered.
//!
//! With a [`KeyRing`], so with [ids that are signed](SessionLayer::sign_ids) or private:
//!
//! | the cookie is | the handler | store calls | the response |
//! | --- | --- | --- | --- |
//! | such that no key vouches for it | reads | none | no cookie |
//! | such that no key vouches for it | changes data | `insert` | a cookie of a new session |
//! | of a live session, and written by an older key or in another form that is accepted | reads | `load`, `replace` | the cookie with the same id, written by the newest key |
//! | .. | changes data | `load`, `replace` | the same |
//! | .. and superseded | anything | as above | never a cookie |
//!
//! With [`max_sessions`](SessionLayer::max_sessions), which is off by default, a login needs a seat. Nothing
//! else costs more than without it:
//!
//! | the handler | store calls before the session is stored |
//! | --- | --- |
//! | logs somebody in, and there is a seat | `load` of the seats, `sessions_of`, `load` of each session without a seat, `replace` of the seats; `insert` the first time |
//! | .. and all seats are taken | also `load` of each session that has one, and `replace` of the one that is ended for it |
//! | .. and another login takes a seat meanwhile | the same again |
//!
//! A session that is [`stateless`](manual::stateless) costs no store call at all; each change, and each touch, is a
//! new cookie. With a time for each user (`NotBefore`) that is asked for, once a request, if the session has
//! a subject. Before the visitor agrees, where [consent is required](SessionLayer::require_consent), a change
//! costs nothing and leaves nothing. [`Session::check`] is a `load`, and a [`Watcher`] one in each interval.
//!
//! With [timed rotation](SessionLayer::rotation), which is off by default, and of sessions with a
//! subject alone:
//!
//! | the cookie is | the handler | store calls | the response |
//! | --- | --- | --- | --- |
//! | old enough to be replaced | reads | `load`, `replace` | a cookie with the successor |
//! | old, and the successor was offered | reads | `load` | the same successor again |
//! | the successor, for the first time | reads | `load`, `replace` | no cookie |
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | guard | an argument that keeps a handler from who is not logged in, [`Guard`] |
//! | seat | the right of a login to be one of so many, [`SessionLayer::max_sessions`] |
//! | sealed | encrypted: data in a store under a key that comes with the request, a session without a store under a key of the ring |
//! | id | the secret that the client holds, [`SessionId`]. It is never stored, logged or printed |
//! | form | how the id is written there: as it is, signed or encrypted, [`IdForm`] |
//! | transport | how the id travels: the cookie, or a header in its place, [`Transport`] |
//! | key | the session's name for stores, logs and people, [`SessionKey`]: a hash of a part of the id that stays when the id changes |
//! | subject | who the session belongs to, [`Subject`]: a hash of what the application calls its user |
//! | record | what a store keeps under a key, [`Record`]; its *revision* grows with each replacement |
//! | commit | storing what a request changed, once, before the response's headers leave |
//! | touch | moving the idle deadline, and nothing else |
//! | rotate | to give the session a new id; the data stays |
//! | superseded | said of an id that was replaced: it reads nothing and writes nothing |
//! | end | to destroy the session; it leaves a *tombstone*, a record that nothing can replace |
//! | verdict | what became of the id that a request carried, [`Verdict`] |
//! | effects | what must be done to the response, [`Effects`] |
//!
//! # What it does not do
//!
//! No task of its own: expired records are removed when
//! [`SessionLayer::sweep`] or [`sweep_every`](SessionLayer::sweep_every) runs, and sockets learn of
//! ends elsewhere while [`Watch::check_every`] does. Stored data is not
//! encrypted unless it is asked for, and then it is not protected from those who write to the store
//! under an id of their own. A session that lives in its cookie alone cannot be ended; with a time
//! for each user, all of one user can. It checks no password, and blocks nobody who guesses. Tokens
//! are checked where a handler checks them, and the [check of the origin](csrf::OriginCheck) leaves a `GET`
//! alone. `SECURITY.md` has the threats one by one.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

// What the application writes: the data, and how parallel changes to it are merged.
pub mod data;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod merge;
pub use crate::codec::{EncodeError, Encoding};
pub use crate::data::SessionData;
pub use crate::subject::Subject;

// What it sets up: the layer and its settings. Cookies are a module of their own.
pub mod cookie;
pub use crate::client::{ClientInfo, ClientPolicy, OnClientChange};
pub use crate::layer::{ClearSiteData, SessionLayer};
pub use crate::lifecycle::{Reuse, Rotation};
pub use crate::lifetime::{CookieLifetime, Lifetime};
pub mod policy;
#[cfg(feature = "sealed")]
pub use crate::sealed::{NotBefore, Stateless, Unsealed};
pub use crate::seats::OnLimit;
pub use crate::transport::{Transport, TransportError};

// What keeps requests of other sites out, and messages for the next page.
pub mod csrf;
pub mod flash;

// What a handler holds, and what it may hear.
pub use crate::error::{Error, Rejection};
pub use crate::guard::{Authenticated, AuthenticatedWithin, Guard, LoggedIn, Requirement, Within};
pub use crate::refusal::{Refusal, Refused};
pub use crate::session::{PendingSession, Session, Times};
pub use crate::step_up::Grants;
pub use crate::verdict::{EndReason, Verdict};

// What users and operators see of sessions.
pub use crate::devices::{SessionInfo, SessionPage};

// What watches.
#[cfg(feature = "tracing")]
pub use crate::event::TracingObserver;
pub use crate::event::{Event, Guesses, Observer, RotationCause};
pub use crate::watch::{Watch, Watcher};

// Where sessions are kept, and the values that a store sees.
pub mod store;
pub use crate::id::{ParseKeyError, SessionId, SessionKey};
pub use crate::record::{Body, Record, Revision};

// How ids are written, and the keys of what is signed or encrypted.
pub use crate::id_form::IdForm;
pub use crate::keys::{KeyError, KeyId, KeyRing};

// Time and randomness, which are arguments everywhere else.
pub use crate::entropy::{Entropy, EntropyError, SystemEntropy};
pub use crate::time::{Clock, SteadyClock, SystemClock, Timestamp};

// What an adapter needs, and the adapters.
pub mod adapter;
pub use crate::effects::{Effects, Header, Mode};
pub use crate::exchange::{Exchange, Outcome};
pub use crate::request::RequestHead;

// For tests.
#[cfg(feature = "testing")]
pub mod testing;

// In the documentation alone.
#[cfg(any(doc, doctest))]
pub mod manual;

mod candidates;
mod client;
mod codec;
mod devices;
mod driver;
mod effects;
mod entropy;
mod envelope;
mod error;
mod event;
mod exchange;
#[cfg(test)]
mod golden;
mod guard;
mod id;
mod id_form;
mod keys;
mod layer;
mod lifecycle;
mod lifetime;
mod record;
mod refusal;
mod request;
mod revoke;
mod sealed;
mod seats;
mod session;
mod step_up;
mod subject;
mod sweep;
mod time;
mod transport;
mod turns;
mod verdict;
mod watch;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
