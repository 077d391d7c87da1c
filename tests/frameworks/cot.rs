//! cot, through the tower layer.

use std::future;
use std::net::SocketAddr;

use cot::bytes::Bytes;
use cot::config::ProjectConfig;
use cot::http::header;
use cot::project::{
    App, AppBuilder, Bootstrapper, MiddlewareContext, Project, RegisterAppsContext, RootHandler,
    RootHandlerBuilder, run_at_with_shutdown,
};
use cot::request::RequestHead;
use cot::request::extractors::{FromRequestHead, Path};
use cot::response::{IntoResponse, Redirect, Response};
use cot::router::{Route, Router};
use cot::{Body, StatusCode};
use futures_util::stream::{self, StreamExt};
use tower::util::MapResultLayer;
use typed_session::store::{MemoryStore, Store};
use typed_session::testing::Verb;
use typed_session::testing::adapter::{Feature, Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::{
    Guard, LoggedIn, PendingSession, Rejection, Requirement, Session, SessionData, SessionLayer,
    Within,
};

use crate::loopback::{self, Watched};

#[test]
fn cot_comes_true() {
    Suite::new()
        .without(Feature::Http2, "cot does not ask its server for it")
        .without(Feature::WebSocket, "cot has none")
        .run(start);
}

fn start(setup: Setup) -> SocketAddr {
    let Setup { sessions, themes, stage, .. } = setup;
    serve(Stories { sessions, themes, stage })
}

fn serve(project: impl Project + Send + 'static) -> SocketAddr {
    crate::serve(|listener| async {
        let config = ProjectConfig::builder().debug(false).register_panic_hook(false).build();
        let project = Bootstrapper::new(project).with_config(config).boot().await?;
        run_at_with_shutdown(project, listener, future::pending()).await
    })
}

struct Stories<S, R> {
    sessions: SessionLayer<Shop, S>,
    themes: SessionLayer<Theme, R>,
    stage: Stage,
}

impl<S: Store, R: Store> Project for Stories<S, R> {
    fn register_apps(&self, apps: &mut AppBuilder, _: &RegisterAppsContext) {
        apps.register_with_views(Pages(self.stage.clone()), "");
    }

    /// The last one is around the others. cot has no middleware for groups of routes.
    fn middlewares(&self, handler: RootHandlerBuilder, _: &MiddlewareContext) -> RootHandler {
        handler
            .middleware(MapResultLayer::new(answer))
            .middleware(self.themes.clone())
            .middleware(self.sessions.clone())
            .middleware(self.sessions.clone())
            .build()
    }
}

/// Makes a response of an error of the session, inside the layer: an error that passes the layer
/// is answered by cot's page, which has none of the session's headers.
fn answer(result: cot::Result<Response>) -> cot::Result<Response> {
    result.or_else(|error| match error.inner().downcast_ref::<Rejection>() {
        Some(rejection) => {
            let answer = rejection.public_message().with_status(error.status_code());
            let mut response = answer.into_response()?;
            for header in rejection.headers() {
                let name: header::HeaderName = header.name.parse().unwrap();
                response.headers_mut().insert(name, header.value.parse().unwrap());
            }
            Ok(response)
        }
        None => Err(error),
    })
}

fn refuse(rejection: impl Into<Rejection>) -> cot::Error {
    let rejection = rejection.into();
    let status = StatusCode::from_u16(rejection.status()).unwrap();
    cot::Error::with_status(rejection, status)
}

/// The session as an argument of a handler.
struct Loaded<T>(Session<T>);

impl<T: SessionData> FromRequestHead for Loaded<T> {
    async fn from_request_head(head: &RequestHead) -> cot::Result<Self> {
        let pending = PendingSession::found(head.extensions.get()).map_err(refuse)?;
        pending.load().await.map(Self).map_err(refuse)
    }
}

/// The session of those who may have it.
struct Guarded<R>(Guard<Shop, R>);

impl<R: Requirement<Shop>> FromRequestHead for Guarded<R> {
    async fn from_request_head(head: &RequestHead) -> cot::Result<Self> {
        let pending = PendingSession::found(head.extensions.get()).map_err(refuse)?;
        pending.guarded().await.map(Self).map_err(refuse)
    }
}

struct Pages(Stage);

impl App for Pages {
    fn name(&self) -> &'static str {
        "stories"
    }

    fn router(&self) -> Router {
        let Self(stage) = self;
        let act = || {
            let stage = stage.clone();
            let act = move |Loaded(session): Loaded<Shop>, Path(action): Path<String>| async move {
                stage.act(&session, &action).await.map_err(refuse)
            };
            Route::with_handler("/act/{action}", act)
        };
        let visit = |path, page: fn(String) -> cot::Result<Response>| {
            let stage = stage.clone();
            let handler =
                move |Loaded(session): Loaded<Shop>| async move { page(stage.visit(&session)) };
            Route::with_handler(path, handler)
        };
        let [twice, both, members, fresh, redirect, slow, stream, committed] =
            [(); 8].map(|()| stage.clone());
        Router::with_urls([
            act(),
            Route::with_router("/nested", Router::with_urls([act()])),
            Route::with_handler("/plain", async || "plain"),
            Route::with_handler("/missing", async |_: Loaded<Missing>| "there is a layer for it"),
            visit("/cookies", cookies),
            visit("/fail", |_| StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            visit("/panic", |_| panic!("as the story wants it")),
            visit("/error", |_| Err(cot::Error::internal("as asked"))),
            Route::with_handler(
                "/twice",
                async move |Loaded(one): Loaded<Shop>, Loaded(other): Loaded<Shop>| {
                    twice.twice(&one, &other)
                },
            ),
            Route::with_handler(
                "/both",
                async move |Loaded(shop): Loaded<Shop>, Loaded(theme): Loaded<Theme>| {
                    both.both(&shop, &theme)
                },
            ),
            Route::with_handler("/members", async move |Guarded(s): Guarded<LoggedIn>| {
                members.visit(&s)
            }),
            Route::with_handler("/fresh", async move |Guarded(s): Guarded<Within<300>>| {
                fresh.visit(&s)
            }),
            Route::with_handler("/redirect", async move |Loaded(session): Loaded<Shop>| {
                redirect.login(&session);
                Redirect::new("/act/read")
            }),
            Route::with_handler("/slow", async move |Loaded(session): Loaded<Shop>| {
                slow.visit(&session);
                slow.pause().await;
                "kept"
            }),
            Route::with_handler("/stream", async move |Loaded(session): Loaded<Shop>| {
                stream.visit(&session);
                two_chunks(stream)
            }),
            Route::with_handler("/committed", async move |Loaded(session): Loaded<Shop>| {
                committed.visit(&session);
                session.commit().await.map_err(refuse)?;
                cot::Result::Ok(two_chunks(committed))
            }),
        ])
    }
}

fn cookies(visits: String) -> cot::Result<Response> {
    visits
        .with_header(header::SET_COOKIE, "theme=dark")
        .with_header(header::VARY, "Accept")
        .into_response()
}

fn two_chunks(stage: Stage) -> Body {
    let first = stream::once(async { Ok(Bytes::from_static(b"a")) });
    let second = stream::once(async move {
        stage.pause().await;
        Ok(Bytes::from_static(b"b"))
    });
    Body::streaming(first.chain(second))
}

#[test]
fn an_error_that_passes_the_layer_stores_nothing() {
    let Watched { sessions, spied, .. } = Watched::new();
    let themes = SessionLayer::new(MemoryStore::new());
    let address = serve(Stories { sessions, themes, stage: Stage::default() });
    let answer = loopback::send(address, "GET", "/error", "");
    assert_eq!(answer.status, 500);
    assert!(answer.values("set-cookie").is_empty(), "{answer:?}");
    assert_eq!(spied.take(), []);
    // As a response, it is one as others are.
    assert_eq!(loopback::send(address, "GET", "/fail", "").status, 500);
    assert_eq!(spied.take(), [Verb::Insert]);
}
