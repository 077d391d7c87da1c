//! The shop's pages as cot's handlers, its server, and the session that is in cot's requests.

use std::future::ready;
use std::pin::Pin;

use cot::bytes::Bytes;
use cot::config::ProjectConfig;
use cot::project::{Bootstrapper, run_at_with_shutdown};
use cot::request::Request;
use cot::response::Response;
use cot::router::Router;
use cot::{App, Body, Project};
use typed_session::{PendingSession, Session};

use crate::{BODY_LIMIT, Failure, Open, Page, Sessions, Shop, interrupted, pages};

type Answer = Pin<Box<dyn Future<Output = cot::Result<Response>> + Send>>;

/// Makes a handler of what takes the session, the form and the layer. What it refuses is a page, too: an
/// `Err` would be a page of cot's, without the session's headers.
pub fn page<F>(
    sessions: &Sessions,
    handler: impl Fn(Session<Shop>, Bytes, Sessions) -> F + Clone + Send + Sync + 'static,
) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static
where
    F: Future<Output = Result<Page, Page>> + Send,
{
    let sessions = sessions.clone();
    move |request| {
        let (handler, sessions) = (handler.clone(), sessions.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let session = async {
                let pending =
                    PendingSession::found(head.extensions.get()).map_err(pages::failed)?;
                pending.load().await.map_err(pages::failed)
            };
            let body = body.into_bytes_limited(BODY_LIMIT).await?;
            let (Ok(page) | Err(page)) = match session.await {
                Ok(session) => handler(session, body, sessions).await,
                Err(page) => Err(page),
            };
            Ok(page.map(Body::fixed))
        })
    }
}

/// Makes a handler of a page that is the same for all.
pub fn fixed(page: fn() -> Page) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static {
    move |_| Box::pin(ready(Ok(page().map(Body::fixed))))
}

/// An app of these routes.
pub struct Pages(pub Router);

impl App for Pages {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn router(&self) -> Router {
        self.0.clone()
    }
}

/// Serves until Ctrl-C.
pub async fn serve(shop: Open, project: impl Project + Send + 'static) -> Result<(), Failure> {
    let config = ProjectConfig::builder().debug(false).build();
    let project = Bootstrapper::new(project).with_config(config).boot().await?;
    run_at_with_shutdown(project, shop.listen().await?, interrupted()).await?;
    shop.close().await;
    Ok(())
}
