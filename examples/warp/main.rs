// The shop on warp, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example warp --features warp

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use shop::pages::{self, failed};
use shop::warp::form;
use shop::{Add, Device, Failure, Login, Page, STAY, Sent, Sessions, Shop, account};
use tower::Layer;
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, PendingSession, Session};
use warp::{Filter, Rejection, Reply, path};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let mut visitors = shop.visitors().await?;
    let routes = warp::service(routes(shop.sessions()));
    let service = TowerToHyperService::new(shop.sessions().layer(routes));
    let connections = GracefulShutdown::new();
    while let Some(stream) = visitors.next().await.map(TokioIo::new) {
        let connection = http1::Builder::new().serve_connection(stream, service.clone());
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
    shop.close().await;
    Ok(())
}

type Answer = Result<Page, Page>;
type Visitor = Result<Session<Shop>, Page>;

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Result<Authenticated<Shop>, Page>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = Result<AuthenticatedWithin<Shop, 300>, Page>;

fn visitor() -> impl Filter<Extract = (Visitor,), Error = Rejection> + Copy {
    warp::ext::get().then(async |s: PendingSession<Shop>| s.load().await.map_err(failed))
}

fn user() -> impl Filter<Extract = (User,), Error = Rejection> + Copy {
    warp::ext::get().then(async |s: PendingSession<Shop>| s.guarded().await.map_err(failed))
}

fn recent_user() -> impl Filter<Extract = (RecentUser,), Error = Rejection> + Copy {
    warp::ext::get().then(async |s: PendingSession<Shop>| s.guarded().await.map_err(failed))
}

fn routes(all: Sessions) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let (get, post) = (warp::get(), warp::post());
    let all = warp::any().map(move || all.clone());
    let home = path::end().and(get).and(visitor()).then(home);
    let style = path!("style.css").and(get).map(pages::style);
    let visit = path!("visit").and(post).and(visitor()).and(form()).then(visit);
    let add = path!("basket").and(post).and(visitor()).and(form()).then(add);
    let login_page = path!("login").and(get).and(visitor()).then(login_page);
    let login = path!("login").and(post).and(visitor()).and(form()).then(login);
    let logout = path!("logout").and(post).and(visitor()).and(form()).then(logout);
    let goodbye = path!("goodbye").and(get).map(pages::goodbye);
    let show = path!("session").and(get).and(visitor()).then(show);
    let rotate = path!("session").and(post).and(visitor()).and(form()).then(rotate);
    let api = path!("api" / "session").and(get).and(visitor());
    let api = api.then(async |session: Visitor| session.map(|session| pages::api(&session)));
    let devices = path!("devices").and(get).and(user()).and(all.clone()).then(devices);
    let end = path!("devices" / "end").and(post).and(user()).and(all.clone()).and(form()).then(end);
    let end_others = path!("devices" / "end-others").and(post).and(recent_user());
    let end_others = end_others.and(all.clone()).and(form()).then(end_others_of);
    let delete = path!("account" / "delete").and(post).and(recent_user());
    let delete = delete.and(all).and(form()).then(delete_all_of);
    let deleted = path!("deleted").and(get).map(pages::deleted);
    let confirm_page = path!("confirm").and(get).and(user()).then(confirm_page);
    let confirm = path!("confirm").and(post).and(user()).and(form()).then(confirm);
    let shop = home.or(style).or(visit).or(add).or(show).or(rotate).or(api);
    let account = login_page.or(login).or(logout).or(goodbye).or(confirm_page).or(confirm);
    shop.or(account).or(devices).or(end).or(end_others).or(delete).or(deleted)
}

async fn home(session: Visitor) -> Answer {
    pages::home(&session?).await.map_err(failed)
}

async fn visit(session: Visitor, form: Sent) -> Answer {
    let session = session?;
    form.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Visitor, form: Sent<Add>) -> Answer {
    let session = session?;
    let item = form.verified_unless_new(&session)?.item()?;
    session.transact(|shop| shop.add(&item)).await.map(pages::added).map_err(failed)
}

async fn login_page(session: Visitor) -> Answer {
    pages::login(&session?).await.map_err(failed)
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Visitor, form: Sent<Login>) -> Answer {
    let session = session?;
    let form = form.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Visitor, form: Sent) -> Answer {
    let session = session?;
    form.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout())
}

async fn show(session: Visitor) -> Answer {
    pages::session(&session?).await.map_err(failed)
}

async fn rotate(session: Visitor, form: Sent) -> Answer {
    let session = session?;
    form.verified(&session)?;
    session.rotate();
    show(Ok(session)).await
}

async fn devices(user: User, all: Sessions) -> Answer {
    account::devices(&all, &*user?).await.map_err(failed)
}

async fn end(user: User, all: Sessions, form: Sent<Device>) -> Answer {
    let user = user?;
    let key = form.verified(&user)?.key()?;
    account::end(&all, &user, key).await.map_err(failed)
}

async fn end_others_of(user: RecentUser, all: Sessions, form: Sent) -> Answer {
    let user = user?;
    form.verified(&user)?;
    account::end_others(&all, &user).await.map_err(failed)
}

async fn delete_all_of(user: RecentUser, all: Sessions, form: Sent) -> Answer {
    let user = user?;
    form.verified(&user)?;
    account::delete(&all, &user).await.map_err(failed)
}

async fn confirm_page(user: User) -> Answer {
    pages::confirm(&*user?).await.map_err(failed)
}

async fn confirm(user: User, form: Sent<Login>) -> Answer {
    let user = user?;
    let name = form.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name))
}
