//! Moving here from another library.
//!
//! | from | read |
//! | --- | --- |
//! | tower-sessions 0.15 | [`from_tower_sessions`] |
//! | axum-sessions 0.6 | [`from_axum_sessions`] |
//! | axum_session 0.22 | [`from_axum_session`] |
//! | actix-session 0.11 | [`from_actix_session`] |
//! | async-session 3 | [`from_async_session`] |
//! | typed-session 0.9 | [`from_typed_session_0_9`] |
//! | one of them, and nobody may have to log in again | [`users_stay_signed_in`], worked out for tower-sessions |
//!
//! # What is the same for all
//!
//! - **Keys become fields.** A map of strings becomes one struct with `#[serde(default)]`. What is read most is
//!   no longer a `Result<Option<T>>`.
//! - **The subject is said once,** in [`SessionData::subject`](crate::SessionData::subject). From then on the id
//!   changes by itself at a login and a logout, where it was a call that could be forgotten.
//! - **The rows are other rows.** No store of another library is read by ours, so give ours a table of its own.
//!   Without the step in between, every user logs in again: an old cookie has another name, or is no id here.
//! - **The cookie is called `__Host-session`,** and needs HTTPS. An old cookie of another name stays in the
//!   browsers until it expires, and is sent and ignored. Remove it if that matters: a `Set-Cookie` with the old
//!   name, path and domain and `Max-Age=0`, as
//!   [`CookiePolicy::removal`](crate::cookie::CookiePolicy::removal) writes it.
//! - **There are two limits, always.** An hour without use and 24 hours in all is likely shorter than what you
//!   had: see [`staying_signed_in`](super::staying_signed_in).
//! - **Requests that other sites have caused are refused,** with a 403, where they may change something. If one is
//!   meant, such as a sign-in that answers by `form_post`, trust its origin: see
//!   [`cross_site_requests`](super::cross_site_requests).
//! - **A failure is an answer.** A change that could not be stored is a 409 or a 503 and never a success, and an
//!   outage is a 503 and never a logout. Pages that post by script should know 409.

//!
//! # What stood beside it
//!
//! | you had, in another crate or by hand | here |
//! | --- | --- |
//! | tokens against forged requests (CSRF), often in a second cookie | on by default: [`csrf::OriginCheck`](crate::csrf::OriginCheck). Tokens: [`Session::csrf_token`](crate::Session::csrf_token), bound to the session, without a cookie of their own |
//! | messages for the next page (flash) | a field of the data: [`flash::Flash`](crate::flash::Flash), kept until shown |
//! | signed cookies | not needed: an id is 256 random bits. To have made-up ones cost no store call: [`SessionLayer::sign_ids`](crate::SessionLayer::sign_ids) |
//! | private, that is encrypted, cookies | `IdForm::private` for the id; for data, `SessionLayer::seal_data` |
//! | sessions that are in their cookie | `SessionLayer::stateless`; read first what it cannot do |
//! | "login required" | [`Authenticated`](crate::Authenticated) and [`SessionLayer::login_page`](crate::SessionLayer::login_page) |
//! | sessions that are bound to an address or a browser | [`SessionLayer::client_info`](crate::SessionLayer::client_info), which reports, or asks for a new login, and ends nothing |

#[doc = include_str!("from_tower_sessions.md")]
pub mod from_tower_sessions {}

#[doc = include_str!("from_axum_sessions.md")]
pub mod from_axum_sessions {}

#[doc = include_str!("from_axum_session.md")]
pub mod from_axum_session {}

#[doc = include_str!("from_actix_session.md")]
pub mod from_actix_session {}

#[doc = include_str!("from_async_session.md")]
pub mod from_async_session {}

#[doc = include_str!("from_typed_session_0_9.md")]
pub mod from_typed_session_0_9 {}

#[doc = include_str!("users_stay_signed_in.md")]
#[doc = "```ignore"]
#[doc = include_str!("carry_over.rs")]
#[doc = "```"]
pub mod users_stay_signed_in {}
