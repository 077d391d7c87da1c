//! Adapters that make one mistake each, and the stories that catch them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use typed_session::testing::adapter::{Setup, Story, Suite, TestStore};
use typed_session::{Mode, PendingSession, RequestHead, SessionData, SessionLayer};

use crate::axum::{act, routes};

/// Each mistake, and stories that are broken by it; often there are more.
const CAUGHT: &[(Mistake, &[Story])] = &[
    (Mistake::FinishesFirst, &[Story::Journey, Story::Lifecycle, Story::LoadedOnce]),
    (Mistake::FinishesLater, &[Story::Journey, Story::Stream]),
    (Mistake::FinishesNever, &[Story::Journey, Story::Nested]),
    (Mistake::LoadsEagerly, &[Story::Lazy, Story::NotFound, Story::Lifecycle]),
    (Mistake::LoadsAgain, &[Story::LoadedOnce, Story::Lifecycle]),
    (Mistake::ReadsFirstField, &[Story::Fields]),
    (Mistake::ReadsFirstCookie, &[Story::Tossing]),
    (Mistake::ReadsLastCookie, &[Story::Tossing]),
    (Mistake::ReadsTextOnly, &[Story::Bytes]),
    (Mistake::ReadsAsMuchAsFits, &[Story::LongFields]),
    (Mistake::ReadsCookiesOnly, &[Story::Journey]),
    (Mistake::ReadsEveryHeader, &[Story::OtherTransports]),
    (Mistake::ReadsOncePerConnection, &[Story::OneConnection]),
    (Mistake::KnowsNoSockets, &[Story::Socket, Story::SocketLogin]),
    (Mistake::IgnoresRejections, &[Story::OtherSites]),
    (Mistake::RejectsAfterTheHandler, &[Story::OtherSites]),
    (Mistake::KnowsNoHost, &[Story::OwnSite]),
    (Mistake::Replaces, &[Story::OwnHeaders, Story::TwoLayers]),
    (Mistake::Appends, &[Story::TwoLayers]),
    (Mistake::ForgetsVary, &[Story::Vary, Story::OwnHeaders, Story::TwoLayers]),
    (Mistake::ForgetsNoStore, &[Story::NoStore, Story::OutageOfCommit, Story::LostChange]),
    (Mistake::AlwaysVaries, &[Story::Lazy]),
    (Mistake::RemovesByName, &[Story::Removal]),
    (Mistake::ForgetsMaxAge, &[Story::StaySignedIn]),
    (Mistake::RenewsAlways, &[Story::OldCookie, Story::Journey]),
    (Mistake::NothingOnErrors, &[Story::ErrorResponse]),
    (Mistake::NothingOnRedirects, &[Story::Redirect]),
    (Mistake::NothingOnStreams, &[Story::Stream, Story::CommittedStream]),
    (Mistake::WaitsForTheBody, &[Story::Stream, Story::CommittedStream]),
    (Mistake::HidesPanics, &[Story::Panic]),
    (Mistake::LeaksWhatIsDropped, &[Story::HangUp]),
    (Mistake::RefusesWhenBusy, &[Story::LostChange, Story::ParallelLogins, Story::ParallelLogouts]),
    (Mistake::RefusesTheSecondLayer, &[Story::Nested]),
    (Mistake::SwallowsErrors, &[Story::OutageOfCommit, Story::LostChange, Story::ParallelLogins]),
    (Mistake::KeepsTheStatus, &[Story::OutageOfCommit, Story::LostChange]),
    (Mistake::KeepsTheText, &[Story::OutageOfCommit, Story::LostChange]),
    (Mistake::ErrorsWithoutHeaders, &[Story::OutageOfCommit, Story::LostChange]),
    (Mistake::OutageIsLogout, &[Story::OutageOfLoad, Story::OutageOfCommit]),
    (Mistake::ShowsNoHead, &[Story::LoginPage, Story::Fresh]),
    (Mistake::RefusesWithoutHeaders, &[Story::Guarded, Story::LoginPage, Story::Fresh]),
    (Mistake::OutageIsLogin, &[Story::GuardedOutage, Story::OutageOfLoad]),
    (
        Mistake::EveryErrorIs500,
        &[Story::OutageOfLoad, Story::MissingLayer, Story::ErrorsOfHandlers],
    ),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mistake {
    None,
    /// The exchange is finished before the handler.
    FinishesFirst,
    /// .. when the head has left already.
    FinishesLater,
    FinishesNever,
    LoadsEagerly,
    /// Loads for itself what a handler has loaded.
    LoadsAgain,
    ReadsFirstField,
    /// Of several cookies of a name the first alone, as a cookie jar does.
    ReadsFirstCookie,
    ReadsLastCookie,
    /// Leaves out fields that are no text.
    ReadsTextOnly,
    ReadsAsMuchAsFits,
    /// Does not ask the layer which header it is.
    ReadsCookiesOnly,
    /// Takes an id wherever it finds one.
    ReadsEveryHeader,
    /// Takes the first id of a connection for that of all its requests.
    ReadsOncePerConnection,
    KnowsNoSockets,
    /// Lets the handler run for a request that another site has caused.
    IgnoresRejections,
    /// .. and says no afterwards.
    RejectsAfterTheHandler,
    /// Shows a request without its host.
    KnowsNoHost,
    /// Every header takes the place of those of its name.
    Replaces,
    /// No header takes the place of those of its name.
    Appends,
    ForgetsVary,
    ForgetsNoStore,
    AlwaysVaries,
    /// Removes the cookie without its attributes.
    RemovesByName,
    ForgetsMaxAge,
    /// Sets the cookie of the request again with each response.
    RenewsAlways,
    NothingOnErrors,
    NothingOnRedirects,
    NothingOnStreams,
    WaitsForTheBody,
    /// Answers a panic as if nothing had been.
    HidesPanics,
    /// What a request took is given back at its end, which not every request has.
    LeaksWhatIsDropped,
    RefusesWhenBusy,
    RefusesTheSecondLayer,
    /// Sends the handler's response although something was not kept.
    SwallowsErrors,
    KeepsTheStatus,
    KeepsTheText,
    ErrorsWithoutHeaders,
    OutageIsLogout,
    EveryErrorIs500,
    /// Opens by the fields alone, so that the layer does not know what is asked for.
    ShowsNoHead,
    /// Of a rejection it takes status and sentence alone.
    RefusesWithoutHeaders,
    OutageIsLogin,
}

#[test]
fn without_a_mistake_the_adapter_comes_true() {
    let report = suite().check(application(Mistake::None)).unwrap();
    assert_eq!(report.skipped, []);
}

#[test]
fn every_mistake_is_caught_by_its_stories() {
    // Some at a time, because many of them let the client wait.
    for some in CAUGHT.chunks(6) {
        std::thread::scope(|scope| {
            for caught in some {
                scope.spawn(|| is_caught(caught));
            }
        });
    }
}

fn is_caught((mistake, stories): &(Mistake, &[Story])) {
    match suite().check(application(*mistake)) {
        Ok(_) => panic!("{mistake:?} slips through"),
        Err(broken) => {
            let missed = stories.iter().filter(|story| !broken.stories().contains(story));
            let missed: Vec<_> = missed.collect();
            assert!(missed.is_empty(), "{mistake:?} is not caught by {missed:?}: {broken}");
        }
    }
}

#[test]
fn every_story_catches_a_mistake() {
    let caught = |story: &Story| CAUGHT.iter().any(|(_, stories)| stories.contains(story));
    let idle: Vec<_> = Story::ALL.into_iter().filter(|story| !caught(story)).collect();
    assert_eq!(idle, []);
}

fn suite() -> Suite {
    Suite::new().time_limit(Duration::from_secs(2))
}

fn application(mistake: Mistake) -> impl Fn(Setup) -> SocketAddr {
    move |setup| {
        crate::serve(move |listener| async move {
            let app = app(setup, mistake).into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await
        })
    }
}

fn app(setup: Setup, mistake: Mistake) -> Router {
    let Setup { sessions, themes, stage, .. } = setup;
    let sessions = from_fn_with_state(Wrong::new(sessions, mistake), around);
    let themes = from_fn_with_state(Wrong::new(themes, mistake), around);
    let nested = Router::new().route("/act/{action}", any(act)).layer(sessions.clone());
    routes().nest("/nested", nested).layer(sessions).layer(themes).with_state(stage)
}

/// An adapter with a mistake.
struct Wrong<T> {
    layer: SessionLayer<T, TestStore>,
    mistake: Mistake,
    /// What the first request of each connection carried.
    connections: Arc<Mutex<HashMap<SocketAddr, Vec<Vec<u8>>>>>,
    permits: Arc<Semaphore>,
}

impl<T: SessionData> Wrong<T> {
    fn new(layer: SessionLayer<T, TestStore>, mistake: Mistake) -> Self {
        let permits = if mistake == Mistake::RefusesWhenBusy { 1 } else { 2 };
        let permits = Arc::new(Semaphore::new(permits));
        Self { layer, mistake, connections: Arc::default(), permits }
    }

    /// Returns the values to open the exchange with.
    fn read(&self, request: &Request) -> Vec<Vec<u8>> {
        let name = match self.mistake {
            Mistake::ReadsCookiesOnly => "cookie",
            _ => self.layer.request_header(),
        };
        let all = request.headers().get_all(name).iter();
        let mut fields: Vec<_> = all.map(|value| value.as_bytes().to_vec()).collect();
        match self.mistake {
            Mistake::ReadsFirstField => fields.truncate(1),
            Mistake::ReadsFirstCookie => fields = one_of_each_name(&fields, false),
            Mistake::ReadsLastCookie => fields = one_of_each_name(&fields, true),
            Mistake::ReadsTextOnly => fields.retain(|field| str::from_utf8(field).is_ok()),
            Mistake::ReadsAsMuchAsFits => {
                fields.iter_mut().for_each(|field| field.truncate(8 << 10));
            }
            Mistake::ReadsEveryHeader if name == "cookie" && fields.is_empty() => {
                let token = request.headers().get(header::AUTHORIZATION);
                let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                fields.extend(token.map(|id| format!("__Host-session={id}").into_bytes()));
            }
            Mistake::ReadsOncePerConnection => {
                let ConnectInfo(peer) = request.extensions().get().unwrap();
                fields = self.connections.lock().unwrap().entry(*peer).or_insert(fields).clone();
            }
            Mistake::KnowsNoSockets if request.headers().contains_key(header::UPGRADE) => {
                fields.clear();
            }
            _ => {}
        }
        fields
    }
}

/// What the layer is shown of a request.
struct Head<'a> {
    request: Request<()>,
    /// The header that carries the id, and what the mistake has read of it.
    name: &'a str,
    fields: Vec<Vec<u8>>,
    mistake: Mistake,
}

fn head_of(request: &Request) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let read = if name == self.name { &*self.fields } else { &[] };
        let hidden = name == self.name || (name == "host" && self.mistake == Mistake::KnowsNoHost);
        let others = self.request.headers().get_all(name).iter().filter(move |_| !hidden);
        read.iter().map(Vec::as_slice).chain(others.map(HeaderValue::as_bytes))
    }

    fn authority(&self) -> Option<&str> {
        let authority = self.request.uri().authority().map(Authority::as_str);
        authority.filter(|_| self.mistake != Mistake::KnowsNoHost)
    }
}

/// What a cookie jar makes of a `Cookie` header: one cookie of each name.
fn one_of_each_name(fields: &[Vec<u8>], last: bool) -> Vec<Vec<u8>> {
    let mut jar = HashMap::new();
    let pairs = fields.iter().flat_map(|field| field.split(|byte| *byte == b';'));
    for pair in pairs.map(<[u8]>::trim_ascii) {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        if last || !jar.contains_key(name) {
            jar.insert(name, pair.to_vec());
        }
    }
    jar.into_values().collect()
}

/// What an adapter does, with a mistake.
async fn around<T: SessionData>(
    State(wrong): State<Wrong<T>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mistake = wrong.mistake;
    if mistake == Mistake::RefusesTheSecondLayer
        && request.extensions().get::<PendingSession<T>>().is_some()
    {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match mistake {
        Mistake::LeaksWhatIsDropped => wrong.permits.acquire().await.unwrap().forget(),
        Mistake::RefusesWhenBusy if wrong.permits.available_permits() == 0 => {
            return StatusCode::TOO_MANY_REQUESTS.into_response();
        }
        _ => {}
    }
    let busy = (mistake == Mistake::RefusesWhenBusy)
        .then(|| Arc::clone(&wrong.permits).try_acquire_owned());

    let fields = wrong.read(&request);
    let name = wrong.layer.request_header();
    let head = Head { request: head_of(&request), name, fields, mistake };
    let open = || match mistake {
        Mistake::ShowsNoHead => wrong.layer.open(head.fields.iter().map(Vec::as_slice)),
        _ => wrong.layer.receive(&head),
    };
    let mut exchange = open();
    let rejected = exchange.rejection().map(|rejection| {
        let status = StatusCode::from_u16(rejection.status()).unwrap();
        (status, rejection.public_message()).into_response()
    });
    match (rejected, mistake) {
        (None, _) | (Some(_), Mistake::IgnoresRejections) => {}
        (Some(answer), Mistake::RejectsAfterTheHandler) => {
            request.extensions_mut().insert(exchange.pending());
            drop(next.run(request).await);
            drop(exchange.finish().await);
            return answer;
        }
        (Some(answer), _) => {
            if mistake == Mistake::LeaksWhatIsDropped {
                wrong.permits.add_permits(1);
            }
            return answer;
        }
    }
    let pending = exchange.pending();
    request.extensions_mut().insert(pending.clone());
    if mistake == Mistake::LoadsEagerly {
        drop(pending.load().await);
    }
    if mistake == Mistake::FinishesFirst {
        drop(std::mem::replace(&mut exchange, open()).finish().await);
    }
    let handled = AssertUnwindSafe(next.run(request));
    let mut response = if mistake == Mistake::HidesPanics {
        match handled.catch_unwind().await {
            Ok(response) => response,
            Err(_) => return StatusCode::OK.into_response(),
        }
    } else {
        handled.0.await
    };
    drop(busy);
    if mistake == Mistake::LeaksWhatIsDropped {
        wrong.permits.add_permits(1);
    }
    match mistake {
        Mistake::FinishesLater => {
            tokio::spawn(exchange.finish());
            return response;
        }
        Mistake::FinishesNever => return response,
        Mistake::WaitsForTheBody => {
            let (head, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            response = Response::from_parts(head, Body::from(body));
        }
        Mistake::EveryErrorIs500 if response.status().as_u16() >= 400 => {
            let headers = std::mem::take(response.headers_mut());
            response = (StatusCode::INTERNAL_SERVER_ERROR, headers).into_response();
        }
        Mistake::RefusesWithoutHeaders if [303, 401].contains(&response.status().as_u16()) => {
            for name in ["location", "www-authenticate", "cache-control"] {
                response.headers_mut().remove(name);
            }
        }
        Mistake::OutageIsLogin if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
            response = Redirect::to("/login").into_response();
        }
        _ => {}
    }

    let outcome = exchange.finish().await;
    if mistake == Mistake::LoadsAgain && !outcome.effects.is_empty() {
        drop(open().session().await);
    }
    let failed = outcome.error.is_some();
    if let Some(error) = outcome.error {
        let status = StatusCode::from_u16(error.status()).unwrap();
        let text = error.public_message();
        match mistake {
            Mistake::SwallowsErrors => {}
            Mistake::KeepsTheStatus => *response.body_mut() = text.into(),
            Mistake::KeepsTheText => *response.status_mut() = status,
            Mistake::ErrorsWithoutHeaders => return (status, text).into_response(),
            _ => response = (status, text).into_response(),
        }
    }
    let unsent = match mistake {
        Mistake::NothingOnErrors => response.status().as_u16() >= 400 && !failed,
        Mistake::NothingOnRedirects => response.status().is_redirection(),
        Mistake::NothingOnStreams => response.body().size_hint().exact().is_none(),
        _ => false,
    };
    if unsent {
        return response;
    }
    let headers = response.headers_mut();
    for header in outcome.effects.headers() {
        let mut value = header.value.to_owned();
        let mut mode = header.mode;
        match mistake {
            Mistake::Replaces => mode = Mode::Replace,
            Mistake::Appends => mode = Mode::Append,
            Mistake::ForgetsVary if header.name == "vary" => continue,
            Mistake::ForgetsNoStore if header.name == "cache-control" => continue,
            Mistake::RemovesByName if value.contains("Max-Age=0") => {
                value = "__Host-session=; Max-Age=0".to_owned();
            }
            Mistake::ForgetsMaxAge if !value.contains("Max-Age=0") => {
                value.truncate(value.find("; Max-Age").unwrap_or(value.len()));
            }
            _ => {}
        }
        add(headers, header.name, &value, mode);
    }
    let renewed = match mistake {
        Mistake::RenewsAlways => {
            head.fields.first().filter(|_| !headers.contains_key("set-cookie"))
        }
        _ => None,
    };
    if let Some(cookie) = renewed.and_then(|field| str::from_utf8(field).ok()) {
        let line = format!("{cookie}; Path=/; Secure; HttpOnly; SameSite=Lax");
        add(headers, "set-cookie", &line, Mode::Append);
    }
    if mistake == Mistake::AlwaysVaries {
        add(headers, "vary", "Cookie", Mode::Append);
    }
    if mistake == Mistake::OutageIsLogout && response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let line = "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
        add(response.headers_mut(), "set-cookie", line, Mode::Append);
    }
    response
}

fn add(headers: &mut HeaderMap, name: &str, value: &str, mode: Mode) {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let value = HeaderValue::from_str(value).unwrap();
    match mode {
        Mode::Append => drop(headers.append(name, value)),
        Mode::Replace => drop(headers.insert(name, value)),
    }
}

impl<T> Clone for Wrong<T> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            mistake: self.mistake,
            connections: Arc::clone(&self.connections),
            permits: Arc::clone(&self.permits),
        }
    }
}
