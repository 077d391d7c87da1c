// The shop on actix-web; `shop::open` says what can be set.
//
//     cargo run --example actix-web --features actix-web

use actix_web::web::{Data, Form, ServiceConfig, get, post};
use actix_web::{App, HttpServer};
use shop::{Add, Answer, Device, Failure, Login, STAY, Sent, Sessions, Shop, account, pages};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let sessions = shop.sessions();
    HttpServer::new(move || {
        App::new().app_data(Data::new(sessions.clone())).configure(routes).wrap(sessions.clone())
    })
    .listen(shop.listen().await?.into_std()?)?
    .run() // until Ctrl-C
    .await?;
    shop.close().await;
    Ok(())
}

type Result<T = Answer, E = Answer> = std::result::Result<T, E>;

fn routes(routes: &mut ServiceConfig) {
    routes
        .route("/", get().to(async |s: Session<Shop>| Answer::from(pages::home(&s).await)))
        .route("/visit", post().to(visit))
        .route("/basket", post().to(add))
        .route("/login", get().to(async |s: Session<Shop>| Answer::from(pages::login(&s).await)))
        .route("/login", post().to(login))
        .route("/logout", post().to(logout))
        .route("/goodbye", get().to(async || Answer(pages::goodbye())))
        .route("/devices", get().to(devices))
        .route("/devices/end", post().to(end))
        .route("/devices/end-others", post().to(end_others))
        .route("/confirm", get().to(async |s: User| Answer::from(pages::confirm(&s).await)))
        .route("/confirm", post().to(confirm))
        .route("/account/delete", post().to(delete))
        .route("/deleted", get().to(async || Answer(pages::deleted())))
        .route(
            "/session",
            get().to(async |s: Session<Shop>| Answer::from(pages::session(&s).await)),
        )
        .route("/session", post().to(rotate))
        .route("/api/session", get().to(async |s: Session<Shop>| Answer(pages::api(&s))))
        .route("/style.css", get().to(async || Answer(pages::style())));
}

async fn visit(session: Session<Shop>, form: Form<Sent>) -> Result {
    form.into_inner().verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home().into())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, form: Form<Sent<Add>>) -> Result {
    let item = form.into_inner().verified_unless_new(&session)?.item()?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, form: Form<Sent<Login>>) -> Result {
    let form = form.into_inner().verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

async fn logout(session: Session<Shop>, form: Form<Sent>) -> Result {
    form.into_inner().verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout().into())
}

async fn rotate(session: Session<Shop>, form: Form<Sent>) -> Result {
    form.into_inner().verified(&session)?;
    session.rotate();
    Ok(pages::session(&session).await?.into())
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

async fn devices(user: User, sessions: Data<Sessions>) -> Result {
    Ok(account::devices(&sessions, &user).await?.into())
}

async fn end(user: User, sessions: Data<Sessions>, form: Form<Sent<Device>>) -> Result {
    let key = form.into_inner().verified(&user)?.key()?;
    Ok(account::end(&sessions, &user, key).await?.into())
}

async fn end_others(user: RecentUser, sessions: Data<Sessions>, form: Form<Sent>) -> Result {
    form.into_inner().verified(&user)?;
    Ok(account::end_others(&sessions, &user).await?.into())
}

async fn delete(user: RecentUser, sessions: Data<Sessions>, form: Form<Sent>) -> Result {
    form.into_inner().verified(&user)?;
    Ok(account::delete(&sessions, &user).await?.into())
}

async fn confirm(user: User, form: Form<Sent<Login>>) -> Result {
    let name = form.into_inner().verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name).into())
}
