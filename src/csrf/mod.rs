//! Requests that another site has caused: cross-site request forgery.
//!
//! A browser adds a site's cookies to requests that pages of other sites make. What such a request
//! asks for is done in the name of a user who knows nothing of it. There are three defences, one
//! behind the other:
//!
//! | defence | who does it |
//! | --- | --- |
//! | `SameSite=Lax` keeps the cookie off most of these requests | the browser, by default |
//! | [`OriginCheck`] refuses them by the headers in which a browser says where they come from | the layer, by default |
//! | a [`Token`] in each form, that no other site can know | the application, if it wants to |
//!
//! [The manual](crate::manual::cross_site_requests) says when which is needed.

pub use self::origin::{CrossOrigin, OriginCheck, OriginError};
pub(crate) use self::token::is_good;
pub use self::token::{FIELD, HEADER, Token, find};

mod origin;
mod session;
mod token;
