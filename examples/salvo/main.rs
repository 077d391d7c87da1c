// The shop on salvo; `shop::open` says what can be set.
//
//     cargo run --example salvo --features salvo

use salvo::conn::tcp::TcpAcceptor;
use salvo::http::request::SecureMaxSize;
use salvo::{extract::FormBody, prelude::*};
use shop::salvo::{Fixed, With, sessions};
use shop::{
    Add, Answer, BODY_LIMIT, Device, Failure, Login, STAY, Sent, Sessions, Shop, account, pages,
};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let server = Server::new(TcpAcceptor::try_from(shop.listen().await?)?);
    shop::salvo::stop_when_interrupted(server.handle());
    server.try_serve(routes(shop.sessions())).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    Router::new()
        // Before the routes, and around all of them. One without a `Session` costs nothing.
        .hoop(sessions.clone())
        .hoop(With(sessions))
        .hoop(SecureMaxSize(BODY_LIMIT))
        .get(home)
        .push(Router::with_path("visit").post(visit))
        .push(Router::with_path("basket").post(add))
        .push(Router::with_path("login").get(login_page).post(login))
        .push(Router::with_path("logout").post(logout))
        .push(Router::with_path("goodbye").get(Fixed(pages::goodbye)))
        .push(Router::with_path("devices").get(devices))
        .push(Router::with_path("devices/end").post(end))
        .push(Router::with_path("devices/end-others").post(end_others))
        .push(Router::with_path("confirm").get(confirm_page).post(confirm))
        .push(Router::with_path("account/delete").post(delete))
        .push(Router::with_path("deleted").get(Fixed(pages::deleted)))
        .push(Router::with_path("session").get(show).post(rotate))
        .push(Router::with_path("api/session").get(api))
        .push(Router::with_path("style.css").get(Fixed(pages::style)))
}

type Result<T = Answer, E = Answer> = std::result::Result<T, E>;

#[handler]
async fn home(session: Session<Shop>) -> Answer {
    pages::home(&session).await.into()
}

#[handler]
async fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[handler]
async fn visit(session: Session<Shop>, form: FormBody<Sent>) -> Result {
    form.0.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home().into())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[handler]
async fn add(session: Session<Shop>, form: FormBody<Sent<Add>>) -> Result {
    let item = form.0.verified_unless_new(&session)?.item()?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

#[handler]
async fn login_page(session: Session<Shop>) -> Answer {
    pages::login(&session).await.into()
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[handler]
async fn login(session: Session<Shop>, form: FormBody<Sent<Login>>) -> Result {
    let form = form.0.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[handler]
async fn logout(session: Session<Shop>, form: FormBody<Sent>) -> Result {
    form.0.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout().into())
}

#[handler]
async fn show(session: Session<Shop>) -> Answer {
    pages::session(&session).await.into()
}

#[handler]
async fn rotate(session: Session<Shop>, form: FormBody<Sent>) -> Result {
    form.0.verified(&session)?;
    session.rotate();
    Ok(pages::session(&session).await?.into())
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

#[handler]
async fn devices(user: User, depot: &Depot) -> Answer {
    account::devices(sessions(depot), &user).await.into()
}

#[handler]
async fn end(user: User, depot: &Depot, form: FormBody<Sent<Device>>) -> Result {
    let key = form.0.verified(&user)?.key()?;
    Ok(account::end(sessions(depot), &user, key).await?.into())
}

#[handler]
async fn end_others(user: RecentUser, depot: &Depot, form: FormBody<Sent>) -> Result {
    form.0.verified(&user)?;
    Ok(account::end_others(sessions(depot), &user).await?.into())
}

#[handler]
async fn delete(user: RecentUser, depot: &Depot, form: FormBody<Sent>) -> Result {
    form.0.verified(&user)?;
    Ok(account::delete(sessions(depot), &user).await?.into())
}

#[handler]
async fn confirm_page(user: User) -> Answer {
    pages::confirm(&user).await.into()
}

#[handler]
async fn confirm(user: User, form: FormBody<Sent<Login>>) -> Result {
    let name = form.0.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name).into())
}
