//! What a story is played on: the application, its store and its clock; and who visits it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use http::header::{COOKIE, HeaderName};

use super::client::{Answer, Ask, Check, Connection, Limit, Open};
use super::suite::Protocol;
use super::{Setup, Shop, Stage, TestStore, Theme};
use crate::cookie::{Attributes, CookiePolicy};
use crate::layer::{ClearSiteData, SessionLayer};
use crate::lifecycle::Rotation;
use crate::store::{ErrorKind, MemoryStore};
use crate::testing::browser::Browser;
use crate::testing::{Calls, Faults, Faulty, ManualClock, Spied, Spy, Verb, When};
use crate::time::Timestamp;

/// What a story is played on.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    setup: Setup,
    address: SocketAddr,
    protocol: Protocol,
    pub(super) limit: Limit,
    /// The errors of arguments have texts of their own.
    pub(super) sentences: bool,
    pub(super) clock: ManualClock,
    /// Of the store of [`Setup::sessions`].
    pub(super) faults: Faults,
    pub(super) spied: Spied,
    pub(super) stage: Stage,
}

pub(super) const SHOP: &str = "__Host-session";
pub(super) const THEME: &str = "__Host-theme";

impl Scene {
    /// Makes the layers of one configuration; nothing is started yet.
    pub(super) fn set(time_limit: Duration) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let faulty = Faulty::new(Arc::new(MemoryStore::new()));
        let faults = faulty.faults();
        let store: TestStore = Spy::new(faulty);
        let spied = store.handle();
        let sessions = SessionLayer::<Shop, _>::new(store)
            .clock(clock.clone())
            .rotation(Rotation::default())
            .clear_site_data(ClearSiteData::Cache);
        let other: TestStore = Spy::new(Faulty::new(Arc::new(MemoryStore::new())));
        let policy = CookiePolicy::new(THEME, Attributes::default());
        let themes = SessionLayer::<Theme, _>::new(other)
            .clock(clock.clone())
            .cookie(policy.expect("the name and the attributes go together"));
        let stage = Stage::default();
        Self {
            setup: Setup { sessions, themes, stage: stage.clone() },
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            protocol: Protocol::Http1,
            limit: Limit(time_limit),
            sentences: true,
            clock,
            faults,
            spied,
            stage,
        }
    }

    pub(super) fn setup(&self) -> Setup {
        self.setup.clone()
    }

    /// The same, with the application at this address.
    pub(super) fn at(&self, address: SocketAddr, protocol: Protocol, sentences: bool) -> Self {
        Self { address, protocol, sentences, ..self.clone() }
    }

    /// Leaves nothing of one story to the next.
    pub(super) fn reset(&self) {
        self.faults.clear();
        self.stage.reset();
        self.spied.take();
    }

    /// Makes everything but a load fail, until the faults are cleared.
    pub(super) fn commits_fail(&self) {
        for verb in [Verb::Insert, Verb::Replace, Verb::Touch, Verb::End] {
            self.faults.every(verb, ErrorKind::Unavailable, When::Before);
        }
    }

    /// Says which configuration it is.
    pub(super) fn name(&self) -> String {
        match self.protocol {
            Protocol::Http1 => "HTTP/1.1".to_owned(),
            Protocol::Http2 => "HTTP/2".to_owned(),
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn connect(&self) -> Check<Connection> {
        Connection::open(self.address, self.protocol, self.limit).await
    }

    /// Returns somebody who was never here.
    pub(super) fn visitor(&self) -> Visitor<'_> {
        Visitor { scene: self, browser: Browser::new(self.clock.clone()) }
    }

    /// Returns somebody who has a session with one visit.
    pub(super) async fn guest(&self) -> Check<Visitor<'_>> {
        let visitor = self.visitor();
        visitor.act("visit").await?.is(200)?.says("1")?.issues_id()?;
        self.spied.take();
        Ok(visitor)
    }

    /// Returns somebody who has a session with one visit and is logged in.
    pub(super) async fn member(&self) -> Check<Visitor<'_>> {
        let visitor = self.guest().await?;
        visitor.act("login").await?.is(200)?;
        self.spied.take();
        Ok(visitor)
    }

    /// Checks what the store was asked since the last time.
    pub(super) fn costs(&self, what: &str, expected: Calls) -> Check {
        let calls = self.spied.calls();
        self.spied.take();
        same(&format!("{what}: store calls"), &calls, &expected)
    }

    /// Sends a request as it is.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Check<Answer> {
        self.start(ask).await?.rest().await
    }

    /// Sends a request, and waits for the head alone.
    pub(super) async fn start(&self, ask: &Ask<'_>) -> Check<Open> {
        let mut connection = self.connect().await?;
        let response = connection.send(ask).await?;
        Ok(Open::new(format!("{} {}", ask.method, ask.path), response, connection))
    }

    /// Lets one thing happen while the handler of a request is in its pause.
    pub(super) async fn meanwhile<A, B>(
        &self,
        request: impl Future<Output = Check<A>>,
        other: impl Future<Output = Check<B>>,
    ) -> Check<(A, B)> {
        let arrivals = self.stage.arrivals();
        let other = async {
            let arrived = self.stage.until_arrived(arrivals + 1);
            let result = match self.limit.on("the handler's pause", arrived).await {
                Ok(()) => other.await,
                Err(error) => Err(error),
            };
            self.stage.release();
            result
        };
        let (request, other) = join(request, other).await;
        Ok((request?, other?))
    }
}

/// Somebody who visits: what a browser holds, and what it does with responses.
///
/// A clone is another window of the same browser, in which the same cookies are.
#[derive(Clone, Debug)]
pub(super) struct Visitor<'a> {
    pub(super) scene: &'a Scene,
    pub(super) browser: Browser,
}

/// What a response did to the id that its client holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Issued {
    Nothing,
    /// An id, as a request shows it.
    Id(String),
    Removal,
}

impl<'a> Visitor<'a> {
    /// Returns the same visitor with something else in place of an id.
    pub(super) fn with(self, value: &str) -> Self {
        self.browser.receive(&url("/"), [format!("{SHOP}={value}; Path=/; Secure")]);
        self
    }

    pub(super) async fn get(&self, path: &str) -> Check<Answer> {
        self.start("GET", path).await?.rest().await
    }

    pub(super) async fn post(&self, path: &str) -> Check<Answer> {
        self.start("POST", path).await?.rest().await
    }

    /// Sends a request, and waits for the head alone.
    pub(super) async fn start(&self, method: &str, path: &str) -> Check<Open> {
        let open = self.scene.start(&self.request(method, path)).await?;
        self.take(path, &open.head)?;
        Ok(open)
    }

    /// Does something with the session.
    pub(super) async fn act(&self, action: &str) -> Check<Answer> {
        self.post(&format!("/act/{action}")).await
    }

    /// Checks what a request that only reads is told.
    pub(super) async fn reads(&self, action: &str, expected: &str) -> Check {
        self.get(&format!("/act/{action}")).await?.is(200)?.says(expected).map(drop)
    }

    /// Returns the request that this visitor would send.
    pub(super) fn request<'r>(&self, method: &'r str, path: &'r str) -> Ask<'r> {
        let fields = self.fields();
        Ask { method, path, fields }
    }

    /// Returns the header fields that show the id.
    pub(super) fn fields(&self) -> Vec<(HeaderName, Vec<u8>)> {
        let cookies = self.browser.cookie_header_bytes(&url("/"));
        cookies.into_iter().map(|value| (COOKIE, value)).collect()
    }

    /// Takes the cookies of a response.
    pub(super) fn take(&self, path: &str, answer: &Answer) -> Check {
        let lines = answer.values("set-cookie");
        for (line, taken) in lines.iter().zip(self.browser.receive(&url(path), &lines)) {
            taken.map_err(|rule| {
                format!("{}: no browser takes the cookie {line:?}: {rule}", answer.what)
            })?;
        }
        Ok(())
    }

    /// Returns what this visitor shows as the id of the shop's session.
    pub(super) fn shown(&self) -> Option<String> {
        let cookie = self.browser.get(SHOP)?;
        Some(format!("{SHOP}={}", cookie.value()))
    }
}

impl Answer {
    /// Returns what it does to the id of the shop's session.
    pub(super) fn issued(&self) -> Check<Issued> {
        self.issued_as(SHOP)
    }

    /// Returns what it does to the id of a session.
    pub(super) fn issued_as(&self, name: &str) -> Check<Issued> {
        let lines = self.values("set-cookie");
        let ours: Vec<_> =
            lines.iter().filter(|line| line.split('=').next() == Some(name)).collect();
        match ours.as_slice() {
            [] => Ok(Issued::Nothing),
            [line] => {
                let pair = line.split(';').next().unwrap_or_default();
                match pair.split_once('=') {
                    Some((_, "")) => Ok(Issued::Removal),
                    _ => Ok(Issued::Id(pair.to_owned())),
                }
            }
            _ => Err(format!("{}: {} cookies of one name", self.what, ours.len())),
        }
    }

    /// Checks that it has a new id.
    pub(super) fn issues_id(self) -> Check<Self> {
        match self.issued()? {
            Issued::Id(_) => Ok(self),
            other => Err(format!("{}: a new id was expected, not {other:?}", self.what)),
        }
    }

    /// Checks that it leaves the client's id alone.
    pub(super) fn issues_nothing(self) -> Check<Self> {
        match self.issued()? {
            Issued::Nothing => Ok(self),
            other => Err(format!("{}: no new id was expected, not {other:?}", self.what)),
        }
    }

    /// Checks that it removes the client's id.
    pub(super) fn removes_id(self) -> Check<Self> {
        match self.issued()? {
            Issued::Removal => Ok(self),
            other => Err(format!("{}: the removal was expected, not {other:?}", self.what)),
        }
    }
}

/// Where the browser believes to be: a cookie that is `Secure` needs it.
pub(super) fn url(path: &str) -> String {
    format!("https://shop.example{path}")
}

/// Checks that two things are the same.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Check {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen:?}, not {expected:?}"))
}
