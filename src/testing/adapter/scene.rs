//! What a story is played on: the application, its store and its clock; and who visits it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use http::Response;
use http::header::{COOKIE, HeaderName};
use hyper::body::Incoming;

use super::carrier::{Carrier, Issued};
use super::client::{Answer, Ask, Check, Connection, Limit, Open, Protocol};
use super::{Setup, Shop, Stage, TestStore, Theme};
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
    /// How the ids of [`Setup::sessions`] travel.
    pub(super) shop: Carrier,
    /// And those of [`Setup::themes`].
    pub(super) theme: Carrier,
    pub(super) limit: Limit,
    /// The errors of arguments have texts of their own.
    pub(super) sentences: bool,
    pub(super) clock: ManualClock,
    /// Of the store of [`Setup::sessions`].
    pub(super) faults: Faults,
    pub(super) spied: Spied,
    pub(super) stage: Stage,
}

impl Scene {
    /// Makes the layers of one configuration; nothing is started yet.
    pub(super) fn set([shop, theme]: [Carrier; 2], time_limit: Duration) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let faulty = Faulty::new(Arc::new(MemoryStore::new()));
        let faults = faulty.faults();
        let store: TestStore = Spy::new(faulty);
        let spied = store.handle();
        let sessions = SessionLayer::<Shop, _>::new(store)
            .clock(clock.clone())
            .transport(shop.transport())
            .rotation(Rotation::default())
            .clear_site_data(ClearSiteData::Cache)
            .login_page("/login")
            .reauthentication_page("/confirm");
        let other: TestStore = Spy::new(Faulty::new(Arc::new(MemoryStore::new())));
        let themes =
            SessionLayer::<Theme, _>::new(other).clock(clock.clone()).transport(theme.transport());
        let stage = Stage::default();
        Self {
            setup: Setup { sessions, themes, stage: stage.clone() },
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            protocol: Protocol::Http1,
            shop,
            theme,
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
        let protocol = match self.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        match self.shop {
            Carrier::Cookie(_) => format!("{protocol}, cookie"),
            Carrier::Bearer => format!("{protocol}, `Authorization: Bearer`"),
            Carrier::Header(name) => format!("{protocol}, `{name}`"),
        }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn connect(&self) -> Check<Connection> {
        Connection::open(self.address, self.protocol, self.limit).await
    }

    /// Returns somebody who was never here.
    pub(super) fn visitor(&self) -> Visitor<'_> {
        let browser = Browser::new(self.clock.clone());
        Visitor { scene: self, browser, shop: Mutex::default(), theme: Mutex::default() }
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
        Ok(self.open(ask, response, connection))
    }

    /// Returns the response to a request, with its body still to come.
    pub(super) fn open(
        &self,
        ask: &Ask<'_>,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Open {
        let what = format!("{} {}", ask.method, ask.path);
        Open::new(what, self.shop, response, connection)
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

/// Somebody who visits: what their browser holds, and what it does with responses.
///
/// A clone is another window of the same browser, in which the same ids are.
#[derive(Debug)]
pub(super) struct Visitor<'a> {
    pub(super) scene: &'a Scene,
    pub(super) browser: Browser,
    /// What is no cookie, as a request shows it.
    shop: Mutex<Option<String>>,
    theme: Mutex<Option<String>>,
}

impl Clone for Visitor<'_> {
    fn clone(&self) -> Self {
        let Self { scene, browser, shop, theme } = self;
        let copy = |held| Mutex::new(lock(held).clone());
        Self { scene, browser: browser.clone(), shop: copy(shop), theme: copy(theme) }
    }
}

fn lock(held: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Visitor<'a> {
    /// Returns the same visitor with something else in place of an id.
    pub(super) fn with(self, value: &str) -> Self {
        let shown = self.scene.shop.shows(value);
        if self.scene.shop.is_cookie() {
            self.browser.receive(&url("/"), [format!("{shown}; Path=/; Secure")]);
        } else {
            *lock(&self.shop) = Some(shown);
        }
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

    /// Returns the header fields that show the ids.
    pub(super) fn fields(&self) -> Vec<(HeaderName, Vec<u8>)> {
        let cookies = self.browser.cookie_header_bytes(&url("/"));
        let cookies = cookies.into_iter().map(|value| (COOKIE, value));
        let tokens = self.tokens().into_iter().filter_map(|(carrier, held)| {
            let value = lock(held).clone()?;
            Some((carrier.request_header(), value.into_bytes()))
        });
        cookies.chain(tokens).collect()
    }

    /// Takes the ids of a response.
    pub(super) fn take(&self, path: &str, answer: &Answer) -> Check {
        let lines = answer.values("set-cookie");
        for (line, taken) in lines.iter().zip(self.browser.receive(&url(path), &lines)) {
            taken.map_err(|rule| {
                format!("{}: no browser takes the cookie {line:?}: {rule}", answer.what)
            })?;
        }
        for (carrier, held) in self.tokens() {
            match carrier.issued(answer)? {
                Issued::Nothing => {}
                Issued::Id(_) if carrier.is_cookie() => {}
                Issued::Id(id) => *lock(held) = Some(id),
                Issued::Removal => *lock(held) = None,
            }
        }
        Ok(())
    }

    fn tokens(&self) -> [(Carrier, &Mutex<Option<String>>); 2] {
        [(self.scene.shop, &self.shop), (self.scene.theme, &self.theme)]
    }

    /// Returns what this visitor shows as the id of the shop's session.
    pub(super) fn shown(&self) -> Option<String> {
        match self.scene.shop {
            Carrier::Cookie(name) => Some(self.scene.shop.shows(&self.browser.get(name)?.value())),
            Carrier::Bearer | Carrier::Header(_) => lock(&self.shop).clone(),
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
