//! The stories, by name.

/// Makes the enum, its list and its sentences of one text, so that what the docs say is what a
/// broken story prints.
macro_rules! stories {
    ($($name:ident: $sentence:literal,)*) => {
        /// A story that every adapter is held to.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Story {
            $(#[doc = $sentence] $name,)*
        }

        impl Story {
            /// All stories, in the order in which they are told.
            pub const ALL: [Self; [$($sentence),*].len()] = [$(Self::$name),*];

            /// Returns what the story shows.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

stories! {
    Journey: "A session is created by the first write, gets a new id at the login, and is gone after the logout.",
    Lazy: "A request whose handler does not ask for the session costs no store call, and its response is as it was.",
    Lifecycle: "Each request costs the store calls, and causes the status and the headers, that the table of the crate's front page says.",
    LoadedOnce: "However many arguments of a handler are the session, it is one session, loaded once and stored once.",
    Tossing: "Of several cookies of the session's name the good one wins, wherever it is.",
    Fields: "Several `Cookie` fields are one list.",
    Bytes: "Bytes of other cookies that are no UTF-8 do no harm.",
    LongFields: "A `Cookie` field of 64 KiB is read, or the request is refused; the next request works.",
    OtherTransports: "An id is accepted by the transport that the layer was set to, and by no other.",
    OtherSites: "A request that another site has caused is a 403, whose handler does not run, if a browser adds the id by itself.",
    OwnSite: "A request that the site itself has caused is handled, and one that only reads, whoever has caused it.",
    OwnHeaders: "The handler's own `Set-Cookie` and `Vary` stay.",
    NoStore: "With every new id goes `Cache-Control: no-store`.",
    Vary: "A response that was made of the session has a `Vary` with the header that carries the id, also if it only reads.",
    Removal: "The cookie is removed with the attributes that it was set with.",
    StaySignedIn: "Who stays signed in has a cookie with a `Max-Age`, which outlives the browser.",
    OldCookie: "The cookie of before the login reads nothing, writes nothing, and gets no new cookie.",
    ErrorResponse: "What was changed before the handler fails is kept, and its cookie is sent: also that of a login.",
    NotFound: "A request for which there is no route is answered as ever, and costs no store call.",
    Redirect: "The cookie of a login is on the redirect that follows.",
    HangUp: "A client that hangs up leaves nothing half done; later requests work.",
    Panic: "A handler that panics stores nothing; the session and the application live on.",
    Stream: "The cookie is in the head of a streamed response, and the session is stored before the head leaves.",
    CommittedStream: "A handler may commit before it streams, and say an error instead.",
    TwoLayers: "Two layers with different data and different cookies do not meet.",
    Nested: "The layer around routes that it is around already is harmless.",
    MissingLayer: "An argument for which there is no layer is a 500 that says what to do.",
    OutageOfLoad: "A store that fails at the load is a 503 that touches no cookie.",
    OutageOfCommit: "A store that fails at the commit is a 503 that touches no cookie, and never a success.",
    LostChange: "A change that is lost to a logout is a 409 without a cookie.",
    ErrorsOfHandlers: "An error of the session that a handler returns is a response with its status and its sentence.",
    Guarded: "A handler for who is logged in is not run for anybody else: a 401, and nothing is written.",
    LoginPage: "A browser that comes to such a handler is sent to the login page, and a script is not.",
    Fresh: "A handler for who has just logged in is not run for others who are logged in; once they prove again who they are, it is.",
    GuardedOutage: "A store that fails is a 503 also before such a handler, and never a 401 or a login page.",
    ParallelLogins: "Of two logins of one session at the same time one wins, and the other one is a 409 without a cookie.",
    ParallelLogouts: "Two logouts at the same time both end the session.",
    OneConnection: "Requests of several visitors on one connection do not meet.",
    Socket: "A WebSocket has the session: reads it, changes it, commits it, and hears that it was ended.",
    SocketLogin: "A login over a WebSocket has no response to carry the new id: after it the client's cookie is worth nothing.",
}

impl Story {
    /// What the framework must have for it.
    pub(super) const fn needs(self) -> Option<Feature> {
        match self {
            Self::Bytes => Some(Feature::Bytes),
            Self::Panic => Some(Feature::Panics),
            Self::Nested => Some(Feature::Nested),
            Self::Socket | Self::SocketLogin => Some(Feature::WebSocket),
            _ => None,
        }
    }

    /// Whether it is about cookies alone.
    pub(super) const fn is_of_cookies(self) -> bool {
        matches!(
            self,
            Self::Tossing
                | Self::Fields
                | Self::Bytes
                | Self::LongFields
                | Self::Removal
                | Self::StaySignedIn
        )
    }
}

/// What not every framework has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Feature {
    /// HTTP/2 with prior knowledge, on the same port.
    Http2,
    /// The route `/ws`.
    WebSocket,
    /// The route `/nested/act/{action}`: groups of routes with a middleware of their own.
    Nested,
    /// The route `/panic`: a panic ends one request, and not the application.
    Panics,
    /// Fields of a request reach the adapter also if they are no UTF-8.
    Bytes,
    /// The error of an argument of a handler can have a text of its own. Without it the status is
    /// all that is asked for.
    Sentences,
}
