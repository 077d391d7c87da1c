//! What can go wrong with a request's session.

use crate::codec::EncodeError;
use crate::csrf::CrossOrigin;
use crate::effects::Header;
use crate::entropy::EntropyError;
use crate::refusal::Refused;
use crate::store;
use crate::verdict::Verdict;

/// Why a session could not be loaded, or a change to it not be kept.
///
/// Nothing that was acknowledged is lost, and the client's id is left alone.
/// [`status`](Self::status) says how to answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed. Try again later; the session is still there.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The random source failed. No weaker id is used instead.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The session was ended or got another id while this request was at work,
    /// or before it; so the change was not kept.
    #[error("the change to the session was not kept: {0}")]
    Lost(Verdict),
    /// Other requests changed the same value, and the data's policy or its type
    /// allows no merge; or so many changed it that this one never got its turn.
    #[error("the change to the session was not kept: other requests changed it at the same time")]
    Conflict,
    /// The user has as many sessions as [allowed](crate::SessionLayer::max_sessions), so nobody
    /// was logged in. One of them must be ended first.
    #[error("the login was refused: there are as many sessions of this user as may be")]
    TooManySessions,
    /// Nobody is logged in in this session, so there are no others of the same user.
    #[error("nobody is logged in in this session")]
    NoSubject,
    /// The session data has no encoding. Change the type.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// On a switch from one subject to another, what was written and the default
    /// of the rest do not make up data. Fill in what is missing in
    /// [`SessionData::carry`](crate::SessionData::carry), or make the fields
    /// defaultable.
    #[error("what was written at a switch of subject does not make up session data")]
    Switch,
    /// A closure panicked while it changed the data, or a handler after it had changed some, so
    /// nothing was stored.
    #[error("who changed the session panicked half way, so nothing was kept")]
    Torn,
    /// The layer [requires consent](crate::SessionLayer::require_consent), there is none, and to
    /// drop this change in silence would be wrong: it was a login, or a handler asked that it be
    /// stored now. Call [`Session::give_consent`](crate::Session::give_consent) first, or ask
    /// [`Session::has_consent`](crate::Session::has_consent).
    #[error(
        "nothing was stored: the layer requires consent, and `Session::give_consent` was not called"
    )]
    NoConsent,
}

impl Error {
    /// Returns the HTTP status that tells the client what happened.
    ///
    /// 503: try again. 409: reload and look. 403: log in first. 500: the application must be mended.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Store(error) => match error.kind() {
                store::ErrorKind::TooLarge => 500,
                store::ErrorKind::Unavailable
                | store::ErrorKind::Corrupt
                | store::ErrorKind::Other => 503,
            },
            Self::Entropy(_) => 503,
            Self::Encode(_) | Self::Switch | Self::Torn | Self::NoConsent => 500,
            Self::NoSubject => 403,
            Self::Lost(_) | Self::Conflict | Self::TooManySessions => 409,
        }
    }

    /// Returns a sentence for the client, without any detail.
    #[must_use]
    pub const fn public_message(&self) -> &'static str {
        match (self, self.status()) {
            (Self::TooManySessions, _) => {
                "You are signed in on as many devices as you may be. Please sign out on one of them, then try again."
            }
            (Self::NoSubject, _) => "Please sign in first.",
            (_, 503) => "Sessions are not available at the moment. Please try again.",
            (_, 409) => {
                "Your session was changed elsewhere, and this change was not kept. Please reload and try again."
            }
            (_, _) => "The session could not be kept.",
        }
    }
}

/// Why a handler did not get its session: what every adapter's extractor fails with.
///
/// Every adapter makes a response of its [`status`](Self::status), its
/// [`public_message`](Self::public_message) and its [`headers`](Self::headers). For a page of your
/// own, take a `Result` of the argument where the framework can do that, or a
/// [`PendingSession`](crate::PendingSession).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The route has no [`SessionLayer`](crate::SessionLayer) with this type of
    /// data: a mistake in the program, answered by a 500.
    #[error("{MISSING_LAYER}")]
    MissingLayer,
    /// The session could not be loaded.
    #[error(transparent)]
    Failed(#[from] Error),
    /// The session was loaded, and it is not one that the handler is for: see
    /// [`Guard`](crate::Guard).
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Another site has caused the request, and [`OriginCheck`](crate::csrf::OriginCheck) does not
    /// trust it.
    #[error("a request of another site was refused, {0}; see `SessionLayer::check_origin`")]
    CrossOrigin(CrossOrigin),
    /// The request's [token](crate::csrf::Token) is missing or none of this session's.
    #[error("the request's token is none of this session's")]
    CsrfToken,
}

const MISSING_LAYER: &str = "no SessionLayer of this data type is around the route: \
    put `SessionLayer::<YourData, _>::new(store)` around it, as middleware";

const CROSS_ORIGIN: &str = "This request was made by a page of another site, and was refused. \
    Sites that may make such requests must be trusted by the server.";

const CSRF_TOKEN: &str = "This form is out of date. Please reload the page and try again.";

impl Rejection {
    /// Returns the HTTP status that tells the client what happened.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::MissingLayer => 500,
            Self::Failed(error) => error.status(),
            Self::Refused(refused) => refused.status(),
            Self::CrossOrigin(_) | Self::CsrfToken => 403,
        }
    }

    /// Returns a sentence for the client, without any detail of the store. What the developer
    /// has to mend is said as it is: it depends on no request.
    #[must_use]
    pub const fn public_message(&self) -> &'static str {
        match self {
            Self::MissingLayer => MISSING_LAYER,
            Self::Failed(error) => error.public_message(),
            Self::Refused(refused) => refused.public_message(),
            Self::CrossOrigin(_) => CROSS_ORIGIN,
            Self::CsrfToken => CSRF_TOKEN,
        }
    }

    /// Returns the headers of the response, for the adapter to copy: where the browser is sent,
    /// how a program is to authenticate, and that no cache keeps it.
    ///
    /// Those that the session asks for come with the exchange's
    /// [`finish`](crate::Exchange::finish), as ever.
    ///
    /// # Security
    ///
    /// The `Location` is a page of the layer's settings and nothing of the request's, so it can
    /// send nobody elsewhere. `WWW-Authenticate` (RFC 9110, section 11.6.1) is there for
    /// [`Transport::bearer`](crate::Transport::bearer), as RFC 6750 and RFC 9470 want it; for a
    /// cookie or a header of one's own there is no registered scheme to name.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let refused = match self {
            Self::MissingLayer | Self::Failed(_) | Self::CrossOrigin(_) | Self::CsrfToken => None,
            Self::Refused(refused) => Some(refused),
        };
        let headers = refused.map(Refused::headers).into_iter().flatten();
        headers.chain([Header::NO_STORE])
    }
}
