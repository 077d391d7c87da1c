// The shop on rocket; `shop::open` says what can be set.
//
//     cargo run --example rocket --features rocket

use rocket::{Config, State, get, post, routes};
use shop::rocket::announced;
use shop::{Add, Answer, Device, Failure, Login, Nothing, STAY, Sessions, Shop, account, pages};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[rocket::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let (address, port) = (shop.address().ip(), shop.address().port());
    let pages =
        routes![home, style, api, login_page, goodbye, devices, confirm_page, deleted, show];
    let forms = routes![visit, add, login, logout, end, end_others, confirm, delete, rotate];
    rocket::custom(Config { address, port, ..Config::release_default() })
        .mount("/", pages)
        .mount("/", forms)
        .manage(shop.sessions())
        .attach(shop.sessions())
        .attach(announced())
        .launch()
        .await?;
    shop.close().await;
    Ok(())
}

type Result<T = Answer, E = Answer> = std::result::Result<T, E>;

#[get("/")]
async fn home(session: Session<Shop>) -> Answer {
    pages::home(&session).await.into()
}

#[get("/api/session")]
fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[get("/style.css")]
fn style() -> Answer {
    pages::style().into()
}

#[post("/visit", data = "<form>")]
async fn visit(session: Session<Shop>, form: Vec<u8>) -> Result {
    shop::form::<Nothing>(&form)?.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home().into())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[post("/basket", data = "<form>")]
async fn add(session: Session<Shop>, form: Vec<u8>) -> Result {
    let item = shop::form::<Add>(&form)?.verified_unless_new(&session)?.item()?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

#[get("/login")]
async fn login_page(session: Session<Shop>) -> Answer {
    pages::login(&session).await.into()
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[post("/login", data = "<form>")]
async fn login(session: Session<Shop>, form: Vec<u8>) -> Result {
    let form = shop::form::<Login>(&form)?.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[post("/logout", data = "<form>")]
async fn logout(session: Session<Shop>, form: Vec<u8>) -> Result {
    shop::form::<Nothing>(&form)?.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout().into())
}

#[get("/goodbye")]
fn goodbye() -> Answer {
    pages::goodbye().into()
}

#[get("/session")]
async fn show(session: Session<Shop>) -> Answer {
    pages::session(&session).await.into()
}

#[post("/session", data = "<form>")]
async fn rotate(session: Session<Shop>, form: Vec<u8>) -> Result {
    shop::form::<Nothing>(&form)?.verified(&session)?;
    session.rotate();
    Ok(pages::session(&session).await?.into())
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

#[get("/devices")]
async fn devices(user: User, sessions: &State<Sessions>) -> Answer {
    account::devices(sessions, &user).await.into()
}

#[post("/devices/end", data = "<form>")]
async fn end(user: User, sessions: &State<Sessions>, form: Vec<u8>) -> Result {
    let key = shop::form::<Device>(&form)?.verified(&user)?.key()?;
    Ok(account::end(sessions, &user, key).await?.into())
}

#[post("/devices/end-others", data = "<form>")]
async fn end_others(user: RecentUser, sessions: &State<Sessions>, form: Vec<u8>) -> Result {
    shop::form::<Nothing>(&form)?.verified(&user)?;
    Ok(account::end_others(sessions, &user).await?.into())
}

#[post("/account/delete", data = "<form>")]
async fn delete(user: RecentUser, sessions: &State<Sessions>, form: Vec<u8>) -> Result {
    shop::form::<Nothing>(&form)?.verified(&user)?;
    Ok(account::delete(sessions, &user).await?.into())
}

#[get("/deleted")]
fn deleted() -> Answer {
    pages::deleted().into()
}

#[get("/confirm")]
async fn confirm_page(user: User) -> Answer {
    pages::confirm(&user).await.into()
}

#[post("/confirm", data = "<form>")]
async fn confirm(user: User, form: Vec<u8>) -> Result {
    let name = shop::form::<Login>(&form)?.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name).into())
}
