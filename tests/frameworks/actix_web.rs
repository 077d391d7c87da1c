//! actix-web.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::Cookie;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, SET_COOKIE, VARY};
use actix_web::middleware::{
    Condition, DefaultHeaders, ErrorHandlerResponse, ErrorHandlers, Logger, Next, NormalizePath,
    from_fn,
};
use actix_web::rt::System;
use actix_web::test::{self, TestRequest};
use actix_web::web::{Bytes, Data, Path, Payload, Redirect, ServiceConfig};
use actix_web::{App, FromRequest, HttpMessage, HttpRequest, HttpResponse, HttpServer};
use actix_web::{ResponseError, web};
use actix_ws::{Message, MessageStream};
use futures_util::stream::{self, StreamExt};
use typed_session::cookie::{Attributes, CookiePolicy};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, TestStore, Theme};
use typed_session::testing::{Verb, When};
use typed_session::{
    Authenticated, AuthenticatedWithin, Error, PendingSession, Rejection, Session, SessionLayer,
};

use crate::loopback::{Answer, Watched, listener, send, upgrade, visit};

#[test]
fn actix_web_comes_true() {
    Suite::new().run(start);
}

fn start(setup: Setup) -> SocketAddr {
    serve(move |listener| {
        let app = move || {
            let Setup { sessions, themes, stage, .. } = setup.clone();
            let nested = web::scope("/nested").configure(act_alone).wrap(sessions.clone());
            App::new()
                .app_data(Data::new(stage))
                .service(nested)
                .configure(routes)
                .wrap(sessions)
                .wrap(themes)
        };
        Ok(HttpServer::new(app).workers(2).listen_auto_h2c(listener)?.run())
    })
}

fn routes(config: &mut ServiceConfig) {
    config
        .configure(act_alone)
        .route("/plain", web::get().to(async || "plain"))
        .route("/twice", web::get().to(twice))
        .route("/both", web::get().to(both))
        .route("/missing", web::get().to(async |_: Session<Missing>| "there is a layer for it"))
        .route("/cookies", web::get().to(cookies))
        .route("/fail", web::post().to(fail))
        .route("/members", web::to(members))
        .route("/fresh", web::to(fresh))
        .route("/redirect", web::post().to(redirect))
        .route("/panic", web::post().to(panic))
        .route("/slow", web::post().to(slow))
        .route("/stream", web::get().to(stream))
        .route("/committed", web::get().to(committed))
        .route("/ws", web::get().to(websocket));
}

fn act_alone(config: &mut ServiceConfig) {
    config.route("/act/{action}", web::to(act));
}

async fn act(
    stage: Data<Stage>,
    session: Session<Shop>,
    action: Path<String>,
) -> Result<String, Error> {
    stage.act(&session, &action).await
}

async fn twice(stage: Data<Stage>, one: Session<Shop>, other: Session<Shop>) -> String {
    stage.twice(&one, &other)
}

async fn both(stage: Data<Stage>, shop: Session<Shop>, theme: Session<Theme>) -> String {
    stage.both(&shop, &theme)
}

async fn cookies(stage: Data<Stage>, session: Session<Shop>) -> HttpResponse {
    HttpResponse::Ok()
        .cookie(Cookie::new("theme", "dark"))
        .insert_header((VARY, "Accept"))
        .body(stage.visit(&session))
}

async fn fail(stage: Data<Stage>, session: Session<Shop>) -> actix_web::Result<String> {
    stage.visit(&session);
    Err(ErrorInternalServerError("as the story wants it"))
}

async fn members(stage: Data<Stage>, session: Authenticated<Shop>) -> String {
    stage.visit(&session)
}

async fn fresh(stage: Data<Stage>, session: AuthenticatedWithin<Shop, 300>) -> String {
    stage.visit(&session)
}

async fn redirect(stage: Data<Stage>, session: Session<Shop>) -> Redirect {
    stage.login(&session);
    Redirect::to("/act/read").see_other()
}

async fn panic(stage: Data<Stage>, session: Session<Shop>) -> String {
    stage.visit(&session);
    panic!("as the story wants it");
}

async fn slow(stage: Data<Stage>, session: Session<Shop>) -> &'static str {
    stage.visit(&session);
    stage.pause().await;
    "kept"
}

async fn stream(stage: Data<Stage>, session: Session<Shop>) -> HttpResponse {
    stage.visit(&session);
    two_chunks(&stage)
}

async fn committed(stage: Data<Stage>, session: Session<Shop>) -> Result<HttpResponse, Error> {
    stage.visit(&session);
    session.commit().await?;
    Ok(two_chunks(&stage))
}

fn two_chunks(stage: &Stage) -> HttpResponse {
    let pause = stage.pause();
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"a")) });
    let second = stream::once(async move {
        pause.await;
        Ok(Bytes::from_static(b"b"))
    });
    HttpResponse::Ok().streaming(first.chain(second))
}

async fn websocket(
    stage: Data<Stage>,
    session: Session<Shop>,
    request: HttpRequest,
    body: Payload,
) -> actix_web::Result<HttpResponse> {
    let (response, socket, messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(talk(socket, messages, stage, session));
    Ok(response)
}

async fn talk(
    mut socket: actix_ws::Session,
    mut messages: MessageStream,
    stage: Data<Stage>,
    session: Session<Shop>,
) {
    while let Some(Ok(message)) = messages.recv().await {
        let Message::Text(action) = message else { continue };
        let answer = stage.act(&session, &action).await;
        let answer = answer.unwrap_or_else(|_| "error".to_owned());
        if socket.text(answer).await.is_err() {
            return;
        }
    }
}

/// Starts a server in a thread of its own; it runs on until the process ends.
fn serve(server: impl FnOnce(TcpListener) -> io::Result<Server> + Send + 'static) -> SocketAddr {
    let (listener, address) = listener();
    std::thread::spawn(|| System::new().block_on(async { server(listener).unwrap().await }));
    address
}

async fn visited(session: Session<Shop>) -> String {
    visit(&session)
}

#[derive(Debug)]
struct Teapot;

impl fmt::Display for Teapot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("short and stout")
    }
}

impl ResponseError for Teapot {
    fn status_code(&self) -> StatusCode {
        StatusCode::IM_A_TEAPOT
    }
}

/// Uses the session before the handler does, and after it; refuses a visitor's fifth request.
async fn gate(
    session: Session<Shop>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    if session.read(|shop| shop.visits) >= 4 {
        visit(&session);
        return Err(Teapot.into());
    }
    visit(&session);
    let response = next.call(request).await?;
    visit(&session);
    Ok(response)
}

/// Changes the type of the body, and tells in a header what it has seen.
async fn watch(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let seen = |yes: bool| HeaderValue::from_static(if yes { "yes" } else { "no" });
    match next.call(request).await {
        Ok(mut response) => {
            let cookie = response.headers().contains_key(SET_COOKIE);
            response.headers_mut().append("x-cookie".parse().unwrap(), seen(cookie));
            Ok(response.map_into_left_body::<BoxBody>())
        }
        Err(mut error) => {
            let teapot = error.as_error::<Teapot>().is_some();
            error.add_response_mapper(move |mut response| {
                response.headers_mut().append("x-teapot".parse().unwrap(), seen(teapot));
                response
            });
            Err(error)
        }
    }
}

#[test]
fn middleware_goes_inside_and_outside_of_the_layer() {
    let Watched { sessions, spied, .. } = Watched::new();
    let address = serve(move |listener| {
        let app = move || {
            App::new()
                .route("/visit", web::get().to(visited))
                .wrap(from_fn(gate))
                .wrap(from_fn(watch))
                .wrap(DefaultHeaders::new().add(("x-inside", "1")))
                .wrap(sessions.clone())
                .wrap(DefaultHeaders::new().add(("x-outside", "1")))
                .wrap(from_fn(watch))
                .wrap(Condition::new(true, Logger::default()))
                .wrap(NormalizePath::trim())
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let answer = send(address, "GET", "/visit", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "2"));
    assert_eq!(answer.values("x-cookie"), ["no", "yes"]);
    assert_eq!((answer.values("x-inside"), answer.values("x-outside")), (vec!["1"], vec!["1"]));
    // The handler, and the middleware before and after it: one session, loaded once and stored once.
    assert_eq!(spied.take(), [Verb::Insert]);
    let again = send(address, "GET", "/visit/", answer.cookie());
    assert_eq!((again.status, again.body.as_str()), (200, "5"));
    assert_eq!(spied.take(), [Verb::Load, Verb::Replace]);
}

/// An application whose middleware inside of the layer fails after it changed the session.
fn failing(sessions: SessionLayer<Shop, TestStore>) -> SocketAddr {
    async fn fail(
        session: Session<Shop>,
        request: ServiceRequest,
        _: Next<BoxBody>,
    ) -> actix_web::Result<ServiceResponse> {
        visit(&session);
        drop(request);
        Err(Teapot.into())
    }
    async fn read(session: Session<Shop>) -> String {
        session.read(|shop| shop.visits.to_string())
    }
    async fn err(session: Session<Shop>) -> Result<String, Teapot> {
        visit(&session);
        Err(Teapot)
    }
    serve(move |listener| {
        let app = move || {
            App::new()
                .route("/read", web::get().to(read))
                .route("/handler", web::get().to(err))
                .service(web::scope("/middleware").wrap(from_fn(fail)))
                .wrap(sessions.clone())
                .wrap(from_fn(watch))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    })
}

#[test]
fn an_error_carries_the_cookie_and_stays_the_error_that_it_was() {
    let Watched { sessions, .. } = Watched::new();
    let address = failing(sessions);
    for path in ["/handler", "/middleware"] {
        let answer = send(address, "GET", path, "");
        assert_eq!((answer.status, answer.body.as_str()), (418, "short and stout"), "{path}");
        assert_eq!(answer.values("cache-control"), ["no-store"], "{path}");
        assert_eq!(answer.values("vary"), ["Cookie"], "{path}");
        assert_eq!(send(address, "GET", "/read", answer.cookie()).body, "1", "{path}");
    }
    // The one of the handler is a response by then; the other goes on as it is.
    assert_eq!(send(address, "GET", "/handler", "").values("x-cookie"), ["yes"]);
    assert_eq!(send(address, "GET", "/middleware", "").values("x-teapot"), ["yes"]);
}

#[test]
fn an_error_does_not_hide_that_the_change_was_lost() {
    let Watched { sessions, faults, .. } = Watched::new();
    let address = failing(sessions);
    faults.every(Verb::Insert, ErrorKind::Unavailable, When::Before);
    for path in ["/handler", "/middleware"] {
        let answer = send(address, "GET", path, "");
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.starts_with("Sessions are not available"), "{path}: {}", answer.body);
        assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"], "{path}");
        assert_eq!(answer.values("cache-control"), ["no-store"], "{path}");
        assert!(answer.values("set-cookie").is_empty(), "{path}");
    }
}

#[test]
fn error_handlers_see_what_the_layer_answers() {
    let Watched { sessions, faults, .. } = Watched::new();
    let page = |response: ServiceResponse| -> actix_web::Result<ErrorHandlerResponse<BoxBody>> {
        // The error that it comes from is there for a log.
        let source = response.response().error().unwrap().to_string();
        let text = HttpResponse::ServiceUnavailable().body(format!("a page for {source}"));
        let response = response.into_response(text).map_into_right_body();
        Ok(ErrorHandlerResponse::Response(response))
    };
    let address = serve(move |listener| {
        let app = move || {
            App::new()
                .route("/visit", web::get().to(visited))
                .wrap(sessions.clone())
                .wrap(ErrorHandlers::new().handler(StatusCode::SERVICE_UNAVAILABLE, page))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    faults.outage();
    let answer = send(address, "GET", "/visit", "");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "a page for session store: unavailable")
    );
}

#[test]
fn a_worker_reads_what_another_has_stored() {
    let Watched { sessions, .. } = Watched::new();
    async fn visited(session: Session<Shop>) -> String {
        format!("{} {:?}", visit(&session), std::thread::current().id())
    }
    let address = serve(move |listener| {
        let app = move || App::new().route("/", web::get().to(visited)).wrap(sessions.clone());
        Ok(HttpServer::new(app).workers(2).listen(listener)?.run())
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
        let app = move || {
            App::new()
                .route("/visit", web::get().to(visited))
                .service(
                    web::scope("/inner")
                        .service(web::resource("/both").wrap(themes.clone()).get(both))
                        .route("/visit", web::get().to(visited))
                        .wrap(inner.clone()),
                )
                .wrap(sessions.clone())
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let answer = send(address, "GET", "/inner/visit", "");
    assert!(answer.cookie().starts_with("inner="), "{answer:?}");
    assert_eq!((spied.take(), inner_spied.take()), (vec![], vec![Verb::Insert]));
    let outer = send(address, "GET", "/visit", answer.cookie());
    assert_eq!(
        (outer.body.as_str(), outer.cookie().split_once('=').unwrap().0),
        ("1", "__Host-session")
    );
    let both = send(address, "GET", "/inner/both", answer.cookie());
    assert_eq!((both.body.as_str(), both.values("set-cookie").len()), ("2", 1));
    assert!(both.cookie().starts_with("theme="), "{both:?}");
}

#[test]
fn middleware_around_an_inner_layer_has_the_session_of_the_outer_one_again() {
    async fn late(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
        let response = next.call(request).await?;
        visit(&Session::<Shop>::extract(response.request()).await?);
        Ok(response)
    }
    let Watched { sessions, .. } = Watched::new();
    let Watched { sessions: inner, spied: inner_spied, .. } = Watched::new();
    let address = serve(move |listener| {
        let app = move || {
            let plain = web::get().to(async || "plain");
            App::new()
                .route("/visit", web::get().to(visited))
                .service(
                    web::scope("/inner")
                        .service(web::scope("").wrap(inner.clone()).route("/plain", plain))
                        .wrap(from_fn(late)),
                )
                .wrap(sessions.clone())
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let answer = send(address, "GET", "/inner/plain", "");
    assert_eq!(inner_spied.take(), []);
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}

#[test]
fn requests_of_one_connection_share_no_extensions() {
    use std::io::{Read, Write};

    // actix-web takes requests, and their extensions, out of a pool.
    async fn look(request: HttpRequest) -> String {
        request.extensions().get::<PendingSession<Shop>>().is_some().to_string()
    }
    let Watched { sessions, .. } = Watched::new();
    let address = serve(move |listener| {
        let app = move || {
            App::new()
                .route("/without", web::get().to(look))
                .service(web::scope("/with").wrap(sessions.clone()).route("", web::get().to(look)))
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    for (path, found) in [("/with", "true"), ("/without", "false"), ("/with", "true")] {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\ntrue") && !answer.ends_with(b"\r\n\r\nfalse") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.ends_with(found.as_bytes()), "{path}");
    }
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
        let app = move || {
            App::new()
                .route("/visit", web::get().to(visited))
                .route("/option", web::get().to(option))
                .route("/result", web::get().to(result))
                .route("/pending", web::get().to(pending))
                .wrap(sessions.clone())
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let first = send(address, "GET", "/visit", "");
    let cookie = first.cookie();
    assert_eq!(send(address, "GET", "/option", cookie).body, "true");
    faults.outage();
    let body = |path: &str| -> Answer { send(address, "GET", path, cookie) };
    assert_eq!(body("/option").body, "false");
    assert_eq!(body("/result").body, "503");
    assert_eq!(body("/pending").body, "503");
    // Whatever is made of it, no cache keeps it.
    assert_eq!(body("/option").values("cache-control"), ["no-store"]);
}

#[test]
fn the_head_of_a_websocket_carries_the_cookie() {
    let Watched { sessions, .. } = Watched::new();
    async fn open(
        session: Session<Shop>,
        request: HttpRequest,
        body: Payload,
    ) -> actix_web::Result<HttpResponse> {
        visit(&session);
        Ok(actix_ws::handle(&request, body)?.0)
    }
    let address = serve(move |listener| {
        let app = move || {
            App::new()
                .route("/visit", web::get().to(visited))
                .route("/ws", web::get().to(open))
                .wrap(sessions.clone())
        };
        Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
    });
    let head = upgrade(address, "/ws");
    assert_eq!(head.status, 101);
    assert_eq!(send(address, "GET", "/visit", head.cookie()).body, "2");
}

#[actix_web::test]
async fn the_cookie_is_marked_as_sensitive() {
    let app = App::new().route("/", web::get().to(visited)).wrap(Watched::new().sessions);
    let app = test::init_service(app).await;
    let response = test::call_service(&app, TestRequest::get().to_request()).await;
    assert!(response.headers().get(SET_COOKIE).unwrap().is_sensitive());
    assert!(!response.headers().get(VARY).unwrap().is_sensitive());
}
