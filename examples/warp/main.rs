// The shop on warp, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example warp --features warp

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use shop::{Add, BODY_LIMIT, Failure, Login, Page, STAY, Shop, pages};
use tower::Layer;
use typed_session::{Lifetime, PendingSession, Session};
use warp::{Filter, Rejection, Reply, body, path};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let mut visitors = shop.visitors().await?;
    let service = TowerToHyperService::new(shop.sessions().layer(warp::service(routes())));
    let connections = GracefulShutdown::new();
    while let Some(stream) = visitors.next().await.map(TokioIo::new) {
        let connection = http1::Builder::new().serve_connection(stream, service.clone());
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
    shop.close().await;
    Ok(())
}

type Loaded = Result<Session<Shop>, Page>;

fn session() -> impl Filter<Extract = (Loaded,), Error = Rejection> + Copy {
    warp::ext::get().then(async |s: PendingSession<Shop>| s.load().await.map_err(pages::failed))
}

fn routes() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let (get, post) = (warp::get().and(session()), warp::post().and(session()));
    let limit = body::content_length_limit(BODY_LIMIT as u64);
    let home = path::end().and(get).then(async |s: Loaded| s.map(|s| s.read(pages::home)));
    let style = path!("style.css").and(warp::get()).map(pages::style);
    let api = path!("api" / "session").and(get).then(async |s: Loaded| s.map(|s| pages::api(&s)));
    let visit = path!("visit").and(post).then(visit);
    let add = path!("basket").and(post).and(limit).and(body::form()).then(add);
    let login = path!("login").and(post).and(limit).and(body::form()).then(login);
    let logout = path!("logout").and(post).then(logout);
    let rotated = async |session: Loaded| session.inspect(Session::rotate);
    let rotate = path!("session").and(post).then(rotated).then(show);
    let show = path!("session").and(get).then(show);
    home.or(style).or(api).or(visit).or(add).or(login).or(logout).or(rotate).or(show)
}

async fn visit(session: Loaded) -> Result<Page, Page> {
    session?.update(|shop| shop.visits += 1);
    Ok(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Loaded, form: Add) -> Result<Page, Page> {
    let item = form.item()?;
    let added = session?.transact(|shop| shop.add(&item)).await;
    Ok(pages::added(added.map_err(pages::failed)?))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Loaded, form: Login) -> Result<Page, Page> {
    let (user, session) = (form.user()?, session?);
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Loaded) -> Result<Page, Page> {
    session?.end();
    Ok(pages::back_home())
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Loaded) -> Result<Page, Page> {
    let session = session?;
    session.commit().await.map_err(pages::failed)?;
    Ok(pages::session(&session))
}
