//! hyper alone: the tower layer around one function.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{HeaderValue, LOCATION, SET_COOKIE, VARY};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use typed_session::testing::adapter::{
    Feature, Missing, Setup, Shop, Stage, Suite, TestStore, Theme,
};
use typed_session::{
    Authenticated, AuthenticatedWithin, PendingSession, Rejection, Session, SessionData,
    SessionLayer,
};

type Sessions = SessionLayer<Shop, TestStore>;
type Response = hyper::Response<Body>;

#[test]
fn hyper_comes_true() {
    Suite::new().without(Feature::WebSocket, "hyper has none of its own").run(start);
}

fn start(setup: Setup) -> SocketAddr {
    crate::serve(|listener| accept(listener, setup))
}

async fn accept(listener: TcpListener, setup: Setup) {
    let Setup { sessions, themes, stage, .. } = setup;
    let nested = sessions.clone();
    let handler = service_fn(move |request| handle(request, nested.clone(), stage.clone()));
    let service = TowerToHyperService::new(themes.layer(sessions.layer(handler)));
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn handle<B>(
    request: Request<B>,
    nested: Sessions,
    stage: Stage,
) -> Result<Response, Infallible> {
    if let Some(path) = request.uri().path().strip_prefix("/nested") {
        let path = path.to_owned();
        let around = nested.layer(service_fn(|request| answer(request, &path, &stage)));
        return around.oneshot(request).await;
    }
    let path = request.uri().path().to_owned();
    answer(request, &path, &stage).await
}

async fn answer<B>(request: Request<B>, path: &str, stage: &Stage) -> Result<Response, Infallible> {
    let response = route(&request, path, stage).await;
    Ok(response.unwrap_or_else(Response::from))
}

async fn route<B>(request: &Request<B>, path: &str, stage: &Stage) -> Result<Response, Rejection> {
    let session = session::<Shop, B>;
    Ok(match path {
        "/plain" => text(200, "plain"),
        "/twice" => text(200, stage.twice(&session(request).await?, &session(request).await?)),
        "/both" => {
            let theme = self::session::<Theme, B>(request).await?;
            text(200, stage.both(&session(request).await?, &theme))
        }
        "/missing" => {
            self::session::<Missing, B>(request).await?;
            text(200, "there is a layer for it")
        }
        "/cookies" => {
            let mut response = text(200, stage.visit(&session(request).await?));
            let headers = response.headers_mut();
            headers.append(SET_COOKIE, HeaderValue::from_static("theme=dark"));
            headers.append(VARY, HeaderValue::from_static("Accept"));
            response
        }
        "/fail" => {
            stage.visit(&session(request).await?);
            text(500, "as the story wants it")
        }
        "/members" => {
            let session = Authenticated::try_from(session(request).await?)?;
            text(200, stage.visit(&session))
        }
        "/fresh" => {
            let session = AuthenticatedWithin::<_, 300>::try_from(session(request).await?)?;
            text(200, stage.visit(&session))
        }
        "/redirect" => {
            stage.login(&session(request).await?);
            let mut response = text(303, "");
            response.headers_mut().append(LOCATION, HeaderValue::from_static("/act/read"));
            response
        }
        "/panic" => {
            stage.visit(&session(request).await?);
            panic!("as the story wants it");
        }
        "/slow" => {
            stage.visit(&session(request).await?);
            stage.pause().await;
            text(200, "kept")
        }
        "/stream" => {
            stage.visit(&session(request).await?);
            two_chunks(stage.clone())
        }
        "/committed" => {
            let session = session(request).await?;
            stage.visit(&session);
            session.commit().await?;
            two_chunks(stage.clone())
        }
        _ => match path.strip_prefix("/act/") {
            Some(action) => text(200, stage.act(&session(request).await?, action).await?),
            None => text(404, "nowhere"),
        },
    })
}

/// What an extractor is where a framework has extractors.
async fn session<T: SessionData, B>(request: &Request<B>) -> Result<Session<T>, Rejection> {
    Ok(PendingSession::found(request.extensions().get())?.load().await?)
}

fn text(status: u16, text: impl Into<Bytes>) -> Response {
    let body = Body(Full::new(text.into()).boxed_unsync());
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn two_chunks(stage: Stage) -> Response {
    let chunk = |text| Ok(Frame::data(Bytes::from_static(text)));
    let first = stream::once(async move { chunk(b"a") });
    let second = stream::once(async move {
        stage.pause().await;
        chunk(b"b")
    });
    Response::new(Body(StreamBody::new(first.chain(second)).boxed_unsync()))
}

/// A body that can be a sentence, which is all that the layer asks for.
struct Body(UnsyncBoxBody<Bytes, Infallible>);

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Full::from(text).boxed_unsync())
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
