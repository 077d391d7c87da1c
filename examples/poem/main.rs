// The shop on poem; `shop::open` says what can be set.
//
//     cargo run --example poem --features poem

use poem::listener::TcpAcceptor;
use poem::web::{Data, Form};
use poem::{Endpoint, EndpointExt, Route, Server, get, handler, post};
use shop::poem::{fixed, limited};
use shop::{Add, Answer, Device, Failure, Login, STAY, Sent, Sessions, Shop, account, pages};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(shop.listen().await?)?);
    server.run_with_graceful_shutdown(routes(shop.sessions()), shop::interrupted(), None).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> impl Endpoint {
    Route::new()
        .at("/", get(home))
        .at("/visit", post(limited(visit)))
        .at("/basket", post(limited(add)))
        .at("/login", get(login_page).post(limited(login)))
        .at("/logout", post(limited(logout)))
        .at("/goodbye", get(fixed(pages::goodbye)))
        .at("/devices", get(devices))
        .at("/devices/end", post(limited(end)))
        .at("/devices/end-others", post(limited(end_others)))
        .at("/confirm", get(confirm_page).post(limited(confirm)))
        .at("/account/delete", post(limited(delete)))
        .at("/deleted", get(fixed(pages::deleted)))
        .at("/session", get(show).post(limited(rotate)))
        .at("/api/session", get(api))
        .at("/style.css", get(fixed(pages::style)))
        .data(sessions.clone())
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .with(sessions)
}

type Result<T = Answer, E = Answer> = std::result::Result<T, E>;

#[handler]
async fn home(session: Session<Shop>) -> Answer {
    pages::home(&session).await.into()
}

#[handler]
fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[handler]
async fn visit(session: Session<Shop>, Form(form): Form<Sent>) -> Result {
    form.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home().into())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[handler]
async fn add(session: Session<Shop>, Form(form): Form<Sent<Add>>) -> Result {
    let item = form.verified_unless_new(&session)?.item()?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

#[handler]
async fn login_page(session: Session<Shop>) -> Answer {
    pages::login(&session).await.into()
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[handler]
async fn login(session: Session<Shop>, Form(form): Form<Sent<Login>>) -> Result {
    let form = form.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[handler]
async fn logout(session: Session<Shop>, Form(form): Form<Sent>) -> Result {
    form.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout().into())
}

#[handler]
async fn show(session: Session<Shop>) -> Answer {
    pages::session(&session).await.into()
}

#[handler]
async fn rotate(session: Session<Shop>, Form(form): Form<Sent>) -> Result {
    form.verified(&session)?;
    session.rotate();
    Ok(pages::session(&session).await?.into())
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

#[handler]
async fn devices(user: User, sessions: Data<&Sessions>) -> Answer {
    account::devices(&sessions, &user).await.into()
}

#[handler]
async fn end(user: User, sessions: Data<&Sessions>, Form(form): Form<Sent<Device>>) -> Result {
    let key = form.verified(&user)?.key()?;
    Ok(account::end(&sessions, &user, key).await?.into())
}

#[handler]
async fn end_others(user: RecentUser, sessions: Data<&Sessions>, Form(form): Form<Sent>) -> Result {
    form.verified(&user)?;
    Ok(account::end_others(&sessions, &user).await?.into())
}

#[handler]
async fn delete(user: RecentUser, sessions: Data<&Sessions>, Form(form): Form<Sent>) -> Result {
    form.verified(&user)?;
    Ok(account::delete(&sessions, &user).await?.into())
}

#[handler]
async fn confirm_page(user: User) -> Answer {
    pages::confirm(&user).await.into()
}

#[handler]
async fn confirm(user: User, Form(form): Form<Sent<Login>>) -> Result {
    let name = form.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name).into())
}
