//! ntex.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};

use futures_util::stream::{self, StreamExt};
use ntex::http::header::{HeaderName, HeaderValue, LOCATION, SET_COOKIE, VARY};
use ntex::rt::{DefaultRuntime, System};
use ntex::server::{LoadBalancing, Server};
use ntex::util::Bytes;
use ntex::web::error::ErrorInternalServerError;
use ntex::web::middleware::DefaultHeaders;
use ntex::web::test::{self, TestRequest};
use ntex::web::types::Path;
use ntex::web::ws::{self, Frame, Message};
use ntex::web::{
    self, App, AppState, HttpRequest, HttpResponse, HttpServer, InternalError, ServiceConfig,
    WebError, WebRequest, WebResponse,
};
use ntex::{Ctx, Middleware, Service, SharedCfg, forward_bind, forward_ready, forward_shutdown};
use typed_session::cookie::{Attributes, CookiePolicy};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::adapter::{
    Feature, Missing, Setup, Shop, Stage, Suite, TestStore, Theme,
};
use typed_session::testing::{Verb, When};
use typed_session::{
    Authenticated, AuthenticatedWithin, Error, PendingSession, Rejection, Session, SessionLayer,
};

use crate::loopback::{Watched, listener, send, upgrade, visit};

#[test]
fn ntex_comes_true() {
    Suite::new().without(Feature::Http2, "without TLS it speaks HTTP/1 alone").run(start);
}

type Staged = AppState<Stage>;

fn start(setup: Setup) -> SocketAddr {
    serve(move |listener| {
        let Setup { sessions, themes, stage, .. } = setup;
        let state = async move || Ok(AppState::new(stage.clone()));
        let app = async move |_: &Staged| {
            let nested = web::scope("/nested").middleware(sessions.clone()).configure(act_alone);
            App::new()
                .middleware(themes.clone())
                .middleware(sessions.clone())
                .configure(routes)
                .service(nested)
        };
        Ok(HttpServer::with_config(state, app)
            .workers(2)
            .listen(listener, SharedCfg::default())?
            .run())
    })
}

fn routes(config: &mut ServiceConfig<Staged>) {
    act_alone(config);
    config
        .route("/plain", web::get().to(async || "plain"))
        .route("/twice", web::get().to_with_state(twice))
        .route("/both", web::get().to_with_state(both))
        .route("/missing", web::get().to(async |_: Session<Missing>| "there is a layer for it"))
        .route("/cookies", web::get().to_with_state(cookies))
        .route("/fail", web::post().to_with_state(fail))
        .route("/members", web::to_with_state(members))
        .route("/fresh", web::to_with_state(fresh))
        .route("/redirect", web::post().to_with_state(redirect))
        .route("/panic", web::post().to_with_state(panic))
        .route("/slow", web::post().to_with_state(slow))
        .route("/stream", web::get().to_with_state(stream))
        .route("/committed", web::get().to_with_state(committed))
        .route("/ws", web::get().to_with_state(websocket));
}

fn act_alone(config: &mut ServiceConfig<Staged>) {
    config.route("/act/{action}", web::to_with_state(act));
}

async fn act(
    stage: &Staged,
    (): (),
    session: Session<Shop>,
    action: Path<String>,
) -> Result<String, Error> {
    stage.act(&session, &action).await
}

async fn twice(stage: &Staged, (): (), one: Session<Shop>, other: Session<Shop>) -> String {
    stage.twice(&one, &other)
}

async fn both(stage: &Staged, (): (), shop: Session<Shop>, theme: Session<Theme>) -> String {
    stage.both(&shop, &theme)
}

async fn cookies(stage: &Staged, (): (), session: Session<Shop>) -> HttpResponse {
    HttpResponse::Ok().cookie(("theme", "dark")).header(VARY, "Accept").body(stage.visit(&session))
}

async fn fail(
    stage: &Staged,
    (): (),
    session: Session<Shop>,
) -> Result<String, InternalError<&'static str>> {
    stage.visit(&session);
    Err(ErrorInternalServerError("as the story wants it"))
}

async fn members(stage: &Staged, (): (), session: Authenticated<Shop>) -> String {
    stage.visit(&session)
}

async fn fresh(stage: &Staged, (): (), session: AuthenticatedWithin<Shop, 300>) -> String {
    stage.visit(&session)
}

async fn redirect(stage: &Staged, (): (), session: Session<Shop>) -> HttpResponse {
    stage.login(&session);
    HttpResponse::SeeOther().header(LOCATION, "/act/read").build()
}

async fn panic(stage: &Staged, (): (), session: Session<Shop>) -> String {
    stage.visit(&session);
    panic!("as the story wants it");
}

async fn slow(stage: &Staged, (): (), session: Session<Shop>) -> &'static str {
    stage.visit(&session);
    stage.pause().await;
    "kept"
}

async fn stream(stage: &Staged, (): (), session: Session<Shop>) -> HttpResponse {
    stage.visit(&session);
    two_chunks(stage)
}

async fn committed(stage: &Staged, (): (), session: Session<Shop>) -> Result<HttpResponse, Error> {
    stage.visit(&session);
    session.commit().await?;
    Ok(two_chunks(stage))
}

fn two_chunks(stage: &Stage) -> HttpResponse {
    let pause = stage.pause();
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"a")) });
    let second = stream::once(async move {
        pause.await;
        Ok(Bytes::from_static(b"b"))
    });
    HttpResponse::Ok().streaming(Box::pin(first.chain(second)))
}

async fn websocket(
    stage: &Staged,
    (): (),
    session: Session<Shop>,
    request: HttpRequest,
) -> Result<HttpResponse, Infallible> {
    let stage = stage.st().clone();
    let talk = async move |frame: Frame| {
        let Frame::Text(action) = frame else { return Ok::<_, Infallible>(None) };
        let action = String::from_utf8_lossy(&action);
        let answer = stage.act(&session, &action).await;
        Ok(Some(Message::Text(answer.unwrap_or_else(|_| "error".to_owned()).into())))
    };
    drop(ws::start(&request, None, talk).await);
    Ok(HttpResponse::Ok().build())
}

/// Starts a server in a thread of its own; it runs on until the process ends.
fn serve(server: impl FnOnce(TcpListener) -> io::Result<Server> + Send + 'static) -> SocketAddr {
    let (listener, address) = listener();
    std::thread::spawn(|| {
        System::new("test", DefaultRuntime).block_on(async { server(listener).unwrap().await })
    });
    address
}

async fn visited(session: Session<Shop>) -> String {
    visit(&session)
}

/// Middleware for inside of the layer: uses the session before the handler does, and after it; fails
/// at one path.
struct Gate;

struct Gated<S>(S);

impl<S> Middleware<S, ()> for Gate {
    type Service = Gated<S>;

    fn create(&self, (): &(), service: S) -> Gated<S> {
        Gated(service)
    }
}

impl<S> Service<(), WebRequest<()>> for Gated<S>
where
    S: Service<(), WebRequest<()>, Res = WebResponse, Error = WebError>,
{
    type Res = WebResponse;
    type Error = WebError;

    forward_bind!((), 0);
    forward_ready!((), self.0);
    forward_shutdown!((), self.0);

    async fn call(
        &self,
        request: WebRequest<()>,
        ctx: Ctx<'_, Self, ()>,
    ) -> Result<WebResponse, WebError> {
        let pending = request.extensions().get::<PendingSession<Shop>>().unwrap().clone();
        let session = pending.load().await.map_err(WebError::from_err)?;
        visit(&session);
        if request.path() == "/refused" {
            return Err(WebError::from_err(web::error::ErrorUnauthorized("enough")));
        }
        let response = ctx.call(&self.0, request).await?;
        let pending = PendingSession::<Shop>::found(response.request().extensions().get());
        visit(&pending.unwrap().load().await.map_err(WebError::from_err)?);
        Ok(response)
    }
}

/// Middleware that tells in a header whether it has seen a cookie.
struct Watch;

struct Noticed<S>(S);

impl<S> Middleware<S, ()> for Watch {
    type Service = Noticed<S>;

    fn create(&self, (): &(), service: S) -> Noticed<S> {
        Noticed(service)
    }
}

impl<S> Service<(), WebRequest<()>> for Noticed<S>
where
    S: Service<(), WebRequest<()>, Res = WebResponse, Error = WebError>,
{
    type Res = WebResponse;
    type Error = WebError;

    forward_bind!((), 0);
    forward_ready!((), self.0);
    forward_shutdown!((), self.0);

    async fn call(
        &self,
        request: WebRequest<()>,
        ctx: Ctx<'_, Self, ()>,
    ) -> Result<WebResponse, WebError> {
        let mut response = ctx.call(&self.0, request).await?;
        let seen = if response.headers().contains_key(SET_COOKIE) { "yes" } else { "no" };
        let name = HeaderName::from_static("x-cookie");
        response.headers_mut().append(name, HeaderValue::from_static(seen));
        Ok(response)
    }
}

/// An application with middleware inside and outside of the layer.
fn gated(sessions: SessionLayer<Shop, TestStore>) -> SocketAddr {
    serve(move |listener| {
        let app = async move |_: &()| {
            App::new()
                .middleware(Watch)
                .middleware(DefaultHeaders::new().header("x-outside", "1"))
                .middleware(sessions.clone())
                .middleware(Watch)
                .middleware(Gate)
                .route("/visit", web::get().to(visited))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener, SharedCfg::default())?.run())
    })
}

#[test]
fn middleware_goes_inside_and_outside_of_the_layer() {
    let Watched { sessions, spied, .. } = Watched::new();
    let address = gated(sessions);
    let answer = send(address, "GET", "/visit", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "2"));
    assert_eq!(answer.values("x-cookie"), ["no", "yes"]);
    assert_eq!(answer.values("x-outside"), ["1"]);
    // The handler, and the middleware before and after it: one session, loaded once and stored once.
    assert_eq!(spied.take(), [Verb::Insert]);
    let again = send(address, "GET", "/visit", answer.cookie());
    assert_eq!((again.status, again.body.as_str()), (200, "5"));
    assert_eq!(spied.take(), [Verb::Load, Verb::Replace]);
}

#[test]
fn an_error_of_middleware_carries_the_cookie() {
    let Watched { sessions, spied, .. } = Watched::new();
    let address = gated(sessions);
    let refused = send(address, "GET", "/refused", "");
    assert_eq!((refused.status, refused.body.as_str()), (401, "enough"));
    assert_eq!(refused.values("cache-control"), ["no-store"]);
    assert_eq!(refused.values("vary"), ["Cookie"]);
    assert_eq!(spied.take(), [Verb::Insert]);
    assert_eq!(send(address, "GET", "/visit", &refused.cookie()).body, "3");
}

#[test]
fn an_error_of_middleware_does_not_hide_that_the_change_was_lost() {
    let Watched { sessions, faults, .. } = Watched::new();
    let address = gated(sessions);
    faults.every(Verb::Insert, ErrorKind::Unavailable, When::Before);
    for path in ["/visit", "/refused"] {
        let lost = send(address, "GET", path, "");
        assert_eq!(lost.status, 503, "{path}");
        assert!(lost.body.starts_with("Sessions are not available"), "{lost:?}");
        assert_eq!(lost.values("content-type"), ["text/plain; charset=utf-8"], "{path}");
        assert_eq!(lost.values("cache-control"), ["no-store"], "{path}");
        assert!(lost.values("set-cookie").is_empty(), "{lost:?}");
    }
}

#[test]
fn a_worker_reads_what_another_has_stored() {
    let Watched { sessions, .. } = Watched::new();
    let address = serve(move |listener| {
        let app = async move |_: &()| {
            App::new().middleware(sessions.clone()).route(
                "/",
                web::get().to(async |session: Session<Shop>| {
                    format!("{} {:?}", visit(&session), std::thread::current().id())
                }),
            )
        };
        let server = HttpServer::new(app).workers(2).load_balancing(LoadBalancing::RoundRobin);
        Ok(server.listen(listener, SharedCfg::default())?.run())
    });
    let first = send(address, "GET", "/", "");
    let cookie = first.cookie();
    let mut workers = vec![first.body.split_once(' ').unwrap().1.to_owned()];
    for visits in 2..100 {
        let body = send(address, "GET", "/", cookie).body;
        let (number, worker) = body.split_once(' ').unwrap();
        assert_eq!(number, visits.to_string());
        if worker != workers[0] {
            workers.push(worker.to_owned());
            break;
        }
    }
    assert_eq!(workers.len(), 2, "only one worker has answered");
}

#[test]
fn a_scope_may_have_sessions_of_its_own() {
    let Watched { sessions, spied, .. } = Watched::new();
    let Watched { sessions: inner, spied: inner_spied, .. } = Watched::new();
    let cookie = |name: &'static str| CookiePolicy::new(name, Attributes::default()).unwrap();
    let themes = SessionLayer::<Theme, _>::new(MemoryStore::new()).cookie(cookie("theme"));
    let inner = inner.cookie(cookie("inner"));
    async fn both(shop: Session<Shop>, theme: Session<Theme>) -> String {
        theme.update(|theme| theme.dark = true);
        visit(&shop)
    }
    let address = serve(move |listener| {
        let app = async move |_: &()| {
            let both = web::resource("/both").middleware(themes.clone()).route(web::get().to(both));
            let inner = web::scope("/inner")
                .middleware(inner.clone())
                .service(both)
                .route("/visit", web::get().to(visited));
            App::new()
                .middleware(sessions.clone())
                .service(inner)
                .route("/visit", web::get().to(visited))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener, SharedCfg::default())?.run())
    });
    let answer = send(address, "GET", "/inner/visit", "");
    assert!(answer.cookie().starts_with("inner="), "{answer:?}");
    assert_eq!((spied.take(), inner_spied.take()), (vec![], vec![Verb::Insert]));
    let outer = send(address, "GET", "/visit", answer.cookie());
    assert_eq!(outer.body, "1");
    assert!(outer.cookie().starts_with("__Host-session="), "{outer:?}");
    let both = send(address, "GET", "/inner/both", answer.cookie());
    assert_eq!(both.body, "2");
    assert!(both.cookie().starts_with("theme="), "{both:?}");
}

#[test]
fn middleware_around_an_inner_layer_has_the_session_of_the_outer_one_again() {
    async fn plain() -> &'static str {
        "plain"
    }
    let Watched { sessions, .. } = Watched::new();
    let Watched { sessions: inner, spied: inner_spied, .. } = Watched::new();
    let address = serve(move |listener| {
        let app = async move |_: &()| {
            let inner = web::resource("/plain").middleware(inner.clone());
            App::new()
                .middleware(sessions.clone())
                .service(
                    web::scope("/inner")
                        .middleware(Gate)
                        .service(inner.route(web::get().to(plain))),
                )
                .route("/visit", web::get().to(visited))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener, SharedCfg::default())?.run())
    });
    let answer = send(address, "GET", "/inner/plain", "");
    assert_eq!(inner_spied.take(), []);
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "3");
}

#[test]
fn an_option_hides_an_outage_and_a_result_does_not() {
    let Watched { sessions, faults, .. } = Watched::new();
    async fn option(session: Option<Session<Shop>>) -> String {
        format!("{}", session.is_some())
    }
    async fn result(session: Result<Session<Shop>, Rejection>) -> String {
        session.err().unwrap().status().to_string()
    }
    async fn pending(session: PendingSession<Shop>) -> String {
        session.load().await.err().unwrap().status().to_string()
    }
    let address = serve(move |listener| {
        let app = async move |_: &()| {
            App::new()
                .middleware(sessions.clone())
                .route("/visit", web::get().to(visited))
                .route("/option", web::get().to(option))
                .route("/result", web::get().to(result))
                .route("/pending", web::get().to(pending))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener, SharedCfg::default())?.run())
    });
    let first = send(address, "GET", "/visit", "");
    let cookie = first.cookie();
    assert_eq!(send(address, "GET", "/option", cookie).body, "true");
    faults.outage();
    let body = |path: &str| send(address, "GET", path, cookie);
    assert_eq!(body("/option").body, "false");
    assert_eq!(body("/result").body, "503");
    assert_eq!(body("/pending").body, "503");
    // Whatever is made of it, no cache keeps it.
    assert_eq!(body("/option").values("cache-control"), ["no-store"]);
}

#[test]
fn the_head_of_a_websocket_is_sent_by_ntex_itself() {
    let Watched { sessions, spied, .. } = Watched::new();
    async fn open(session: Session<Shop>, request: HttpRequest) -> &'static str {
        visit(&session);
        session.commit().await.unwrap();
        let silent = async |_: Frame| Ok::<_, Infallible>(None);
        drop(ws::start(&request, None, silent).await);
        "it is over"
    }
    let address = serve(move |listener| {
        let app = async move |_: &()| {
            App::new().middleware(sessions.clone()).route("/ws", web::get().to(open))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener, SharedCfg::default())?.run())
    });
    let head = upgrade(address, "/ws");
    assert_eq!((head.status, head.values("set-cookie").len()), (101, 0));
    // What was committed by hand is stored.
    assert_eq!(spied.take(), [Verb::Insert]);
}

#[test]
fn the_cookie_is_marked_as_sensitive() {
    System::new("test", DefaultRuntime).block_on(async {
        let app = App::new().middleware(Watched::new().sessions).route("/", web::get().to(visited));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, TestRequest::get().to_request()).await;
        assert!(response.headers().get(SET_COOKIE).unwrap().is_sensitive());
        assert!(!response.headers().get(VARY).unwrap().is_sensitive());
    });
}
