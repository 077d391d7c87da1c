// The shop on viz; `shop::open` says what can be set.
//
//     cargo run --example viz --features viz

use shop::viz::{answer, fixed, refusal};
use shop::{Add, Device, Failure, Login, STAY, Sent, Sessions, Shop, account, pages};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};
use viz::types::State;
use viz::{IntoHandler, Response, Result, Router, get};

#[tokio::main]
async fn main() -> std::result::Result<(), Failure> {
    let shop = shop::open().await?;
    viz::serve(shop.listen().await?, routes(shop.sessions())).signal(shop::interrupted()).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    Router::new()
        .get("/", home.into_handler())
        .post("/visit", visit.into_handler())
        .post("/basket", add.into_handler())
        .route("/login", get(login_page.into_handler()).post(login.into_handler()))
        .post("/logout", logout.into_handler())
        .get("/goodbye", fixed(pages::goodbye))
        .get("/devices", devices.into_handler())
        .post("/devices/end", end.into_handler())
        .post("/devices/end-others", end_others.into_handler())
        .route("/confirm", get(confirm_page.into_handler()).post(confirm.into_handler()))
        .post("/account/delete", delete.into_handler())
        .get("/deleted", fixed(pages::deleted))
        .route("/session", get(show.into_handler()).post(rotate.into_handler()))
        .get("/api/session", api.into_handler())
        .get("/style.css", fixed(pages::style))
        .with(State::new(sessions.clone()))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .with(sessions)
}

async fn home(session: Session<Shop>) -> Result<Response> {
    Ok(answer(pages::home(&session).await?))
}

async fn api(session: Session<Shop>) -> Result<Response> {
    Ok(answer(pages::api(&session)))
}

async fn visit(session: Session<Shop>, form: Sent) -> Result<Response> {
    form.verified_unless_new(&session).map_err(refusal)?;
    session.update(|shop| shop.visits += 1);
    Ok(answer(pages::back_home()))
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, form: Sent<Add>) -> Result<Response> {
    let form = form.verified_unless_new(&session).map_err(refusal)?;
    let item = form.item().map_err(refusal)?;
    let added = session.transact(|shop| shop.add(&item)).await?;
    Ok(answer(pages::added(added)))
}

async fn login_page(session: Session<Shop>) -> Result<Response> {
    Ok(answer(pages::login(&session).await?))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, form: Sent<Login>) -> Result<Response> {
    let form = form.verified(&session).map_err(refusal)?;
    let user = form.user().map_err(refusal)?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(answer(pages::back_home()))
}

async fn logout(session: Session<Shop>, form: Sent) -> Result<Response> {
    form.verified_unless_new(&session).map_err(refusal)?;
    session.end();
    Ok(answer(pages::after_logout()))
}

async fn show(session: Session<Shop>) -> Result<Response> {
    Ok(answer(pages::session(&session).await?))
}

async fn rotate(session: Session<Shop>, form: Sent) -> Result<Response> {
    form.verified(&session).map_err(refusal)?;
    session.rotate();
    show(session).await
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

async fn devices(user: User, all: State<Sessions>) -> Result<Response> {
    Ok(answer(account::devices(&all, &user).await?))
}

async fn end(user: User, all: State<Sessions>, form: Sent<Device>) -> Result<Response> {
    let key = form.verified(&user).map_err(refusal)?.key().map_err(refusal)?;
    Ok(answer(account::end(&all, &user, key).await?))
}

async fn end_others(user: RecentUser, all: State<Sessions>, form: Sent) -> Result<Response> {
    form.verified(&user).map_err(refusal)?;
    Ok(answer(account::end_others(&all, &user).await?))
}

async fn delete(user: RecentUser, all: State<Sessions>, form: Sent) -> Result<Response> {
    form.verified(&user).map_err(refusal)?;
    Ok(answer(account::delete(&all, &user).await?))
}

async fn confirm_page(user: User) -> Result<Response> {
    Ok(answer(pages::confirm(&user).await?))
}

async fn confirm(user: User, form: Sent<Login>) -> Result<Response> {
    let name = form.verified(&user).map_err(refusal)?.user().map_err(refusal)?;
    Ok(answer(account::confirmed(&user, &name)))
}
