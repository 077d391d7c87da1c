// The shop on hyper alone, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example hyper --features hyper

use std::convert::Infallible;

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use shop::{Add, BODY_LIMIT, Failure, Login, Page, STAY, Shop, pages};
use tower::{Layer, service_fn};
use typed_session::{Lifetime, PendingSession};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let mut visitors = shop.visitors().await?;
    let service = TowerToHyperService::new(shop.sessions().layer(service_fn(answer)));
    let connections = GracefulShutdown::new();
    while let Some(stream) = visitors.next().await {
        let stream = TokioIo::new(stream);
        let connection = http1::Builder::new().serve_connection(stream, service.clone());
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
    shop.close().await;
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Page, Infallible> {
    let (Ok(page) | Err(page)) = route(request).await;
    Ok(page)
}

async fn route(request: Request<Incoming>) -> Result<Page, Page> {
    let pending = PendingSession::found(request.extensions().get()).map_err(pages::failed)?;
    // A route that does not ask for the session costs nothing.
    let session = async || pending.load().await.map_err(pages::failed);
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/style.css") => return Ok(pages::style()),
        ("GET", "/") => return Ok(session().await?.read(pages::home)),
        ("GET", "/api/session") => return Ok(pages::api(&session().await?)),
        ("POST", "/visit") => session().await?.update(|shop: &mut Shop| shop.visits += 1),
        // `transact` sees the newest basket, so its limit holds for any number of requests at once.
        ("POST", "/basket") => {
            let item = shop::form::<Add>(&body(request).await?)?.item()?;
            let added = session().await?.transact(|shop| shop.add(&item)).await;
            return Ok(pages::added(added.map_err(pages::failed)?));
        }
        // A shop that asks for no password; one that does checks it here, before anything else.
        ("POST", "/login") => {
            let form: Login = shop::form(&body(request).await?)?;
            let (user, session) = (form.user()?, session().await?);
            session.update(|shop| shop.user = Some(user));
            session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
            session.rotate(); // for who logs in again; a new user has a new id anyway
        }
        ("POST", "/logout") => session().await?.end(),
        (method @ ("GET" | "POST"), "/session") => {
            let session = session().await?;
            (method == "POST").then(|| session.rotate());
            // What is changed is stored after the handler. Here before, for the page shows what it does.
            session.commit().await.map_err(pages::failed)?;
            return Ok(pages::session(&session));
        }
        _ => return Ok(pages::not_found()),
    }
    Ok(pages::back_home())
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Page> {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    Ok(body.map_err(|_| pages::refused("That is too long."))?.to_bytes())
}
