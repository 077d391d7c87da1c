//! The manual.
//!
//! | to | read |
//! | --- | --- |
//! | know what a session is here, and why it is so | [`concepts`] |
//! | know what is set if you set nothing, and why | [`defaults`] |
//! | log in, log out, ask again, switch the user | [`logging_in`] |
//! | keep others out of a route, have your own page for 409 and 503 | [`protecting_routes`] |
//! | keep other sites from acting in your users' name | [`cross_site_requests`] |
//! | show users their devices, end sessions, limit how many there are | [`users_and_devices`] |
//! | offer "stay signed in" | [`staying_signed_in`] |
//! | write down the rules of your sessions, hold them to OWASP ASVS, ask for consent | [`policy`] |
//! | encrypt what sessions hold | [`encrypted_data`] |
//! | keep sessions in the clients' cookies alone | [`stateless`] |
//! | run on several machines | [`several_nodes`] |
//! | sign or encrypt ids; make, keep and replace keys | [`keys`] |
//! | stream a response, or open a WebSocket | [`streams_and_sockets`] |
//! | test your own application | [`testing_your_application`] |
//! | serve clients that are no browsers | [`api_clients`] |
//! | know what a session costs, beside other libraries | [`performance`] |
//! | reckon how many sessions and requests a store carries | [`capacity`] |
//! | choose a store | [`store::choosing`](crate::store::choosing) |
//! | write a store | [`writing_a_store`] |
//! | write an adapter for a framework | [`writing_an_adapter`] |
//! | move here from another library | [`moving`] |
//!
//! It is there in the documentation alone: nothing of it is compiled into a program. Its examples are
//! compiled and run with the tests.

#[doc = include_str!("concepts.md")]
pub mod concepts {}

#[doc = include_str!("defaults.md")]
pub mod defaults {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("capacity.md")]
pub mod capacity {}

#[doc = include_str!("logging_in.md")]
pub mod logging_in {}

#[cfg_attr(all(feature = "axum", feature = "testing"), doc = include_str!("protecting_routes.md"))]
#[cfg_attr(not(all(feature = "axum", feature = "testing")), doc = "(Needs `axum` and `testing`.)")]
pub mod protecting_routes {}

#[cfg_attr(feature = "axum", doc = include_str!("cross_site_requests.md"))]
#[cfg_attr(not(feature = "axum"), doc = "(Needs `axum`.)")]
pub mod cross_site_requests {}
#[cfg_attr(feature = "axum", doc = include_str!("users_and_devices.md"))]
#[cfg_attr(not(feature = "axum"), doc = "(Needs `axum`.)")]
pub mod users_and_devices {}

#[doc = include_str!("staying_signed_in.md")]
pub mod staying_signed_in {}

#[cfg_attr(feature = "testing", doc = include_str!("policy.md"))]
#[cfg_attr(not(feature = "testing"), doc = "(Needs `testing`.)")]
pub mod policy {}

#[cfg_attr(feature = "sealed", doc = include_str!("stateless.md"))]
#[cfg_attr(not(feature = "sealed"), doc = "(Needs `sealed`.)")]
pub mod stateless {}

#[cfg_attr(feature = "sealed", doc = include_str!("encrypted_data.md"))]
#[cfg_attr(not(feature = "sealed"), doc = "(Needs `sealed`.)")]
pub mod encrypted_data {}

#[cfg_attr(feature = "cache", doc = include_str!("several_nodes.md"))]
#[cfg_attr(not(feature = "cache"), doc = "(Needs `cache`.)")]
pub mod several_nodes {}

#[doc = include_str!("keys.md")]
pub mod keys {}

#[cfg_attr(feature = "axum", doc = include_str!("streams_and_sockets.md"))]
#[cfg_attr(not(feature = "axum"), doc = "(Needs `axum`.)")]
pub mod streams_and_sockets {}

#[cfg_attr(all(feature = "axum", feature = "testing"), doc = include_str!("testing_your_application.md"))]
#[cfg_attr(not(all(feature = "axum", feature = "testing")), doc = "(Needs `axum` and `testing`.)")]
pub mod testing_your_application {}

#[cfg_attr(feature = "testing", doc = include_str!("writing_a_store.md"))]
#[cfg_attr(not(feature = "testing"), doc = "(Needs `testing`.)")]
pub mod writing_a_store {}

#[doc = include_str!("writing_an_adapter.md")]
pub mod writing_an_adapter {}

#[doc = include_str!("api_clients.md")]
pub mod api_clients {}

pub mod moving;
