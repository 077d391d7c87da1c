// The shop on hyper alone, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example hyper --features hyper

use std::convert::Infallible;

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use shop::{Add, BODY_LIMIT, Device, Failure, Login, Nothing, Page, STAY, Sent, Sessions, Shop};
use shop::{account, pages};
use tower::{Layer, service_fn};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, PendingSession};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let mut visitors = shop.visitors().await?;
    let sessions = shop.sessions();
    let answer = service_fn(move |request| answer(sessions.clone(), request));
    let service = TowerToHyperService::new(shop.sessions().layer(answer));
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

async fn answer(all: Sessions, request: Request<Incoming>) -> Result<Page, Infallible> {
    let (Ok(page) | Err(page)) = route(all, request).await;
    Ok(page)
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

async fn route(all: Sessions, request: Request<Incoming>) -> Result<Page, Page> {
    let pending = PendingSession::found(request.extensions().get()).map_err(pages::failed)?;
    // A route that does not ask for the session costs nothing.
    let session = async || pending.load().await.map_err(pages::failed);
    let user = async || -> Result<User, Page> { pending.guarded().await.map_err(pages::failed) };
    let recent_user =
        async || -> Result<RecentUser, Page> { pending.guarded().await.map_err(pages::failed) };
    let page = match (request.method().as_str(), request.uri().path()) {
        ("GET", "/style.css") => return Ok(pages::style()),
        ("GET", "/goodbye") => return Ok(pages::goodbye()),
        ("GET", "/deleted") => return Ok(pages::deleted()),
        ("GET", "/api/session") => return Ok(pages::api(&session().await?)),
        ("GET", "/") => pages::home(&session().await?).await,
        ("GET", "/login") => pages::login(&session().await?).await,
        ("GET", "/confirm") => pages::confirm(&*user().await?).await,
        ("GET", "/devices") => account::devices(&all, &*user().await?).await,
        ("GET", "/session") => pages::session(&session().await?).await,
        ("POST", "/visit") => {
            let session = session().await?;
            form::<Nothing>(request).await?.verified_unless_new(&session)?;
            session.update(|shop| shop.visits += 1);
            Ok(pages::back_home())
        }
        // `transact` sees the newest basket, so its limit holds for any number of requests at once.
        ("POST", "/basket") => {
            let session = session().await?;
            let item = form::<Add>(request).await?.verified_unless_new(&session)?.item()?;
            session.transact(|shop| shop.add(&item)).await.map(pages::added)
        }
        // A shop that asks for no password; one that does checks it here, before anything else.
        ("POST", "/login") => {
            let session = session().await?;
            let form = form::<Login>(request).await?.verified(&session)?;
            let user = form.user()?;
            session.update(|shop| shop.welcome(user));
            session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
            session.reauthenticate(); // for who logs in again; a new user has a new id anyway
            Ok(pages::back_home())
        }
        ("POST", "/logout") => {
            let session = session().await?;
            form::<Nothing>(request).await?.verified_unless_new(&session)?;
            session.end();
            Ok(pages::after_logout())
        }
        ("POST", "/session") => {
            let session = session().await?;
            form::<Nothing>(request).await?.verified(&session)?;
            session.rotate();
            pages::session(&session).await
        }
        ("POST", "/devices/end") => {
            let user = user().await?;
            let key = form::<Device>(request).await?.verified(&user)?.key()?;
            account::end(&all, &user, key).await
        }
        ("POST", "/devices/end-others") => {
            let user = recent_user().await?;
            form::<Nothing>(request).await?.verified(&user)?;
            account::end_others(&all, &user).await
        }
        ("POST", "/account/delete") => {
            let user = recent_user().await?;
            form::<Nothing>(request).await?.verified(&user)?;
            account::delete(&all, &user).await
        }
        ("POST", "/confirm") => {
            let user = user().await?;
            let name = form::<Login>(request).await?.verified(&user)?.user()?;
            Ok(account::confirmed(&user, &name))
        }
        _ => return Ok(pages::not_found()),
    };
    page.map_err(pages::failed)
}

async fn form<F: DeserializeOwned>(request: Request<Incoming>) -> Result<Sent<F>, Page> {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    shop::form(&body.map_err(|_| pages::refused("That is too long."))?.to_bytes())
}
