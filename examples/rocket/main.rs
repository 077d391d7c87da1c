// The shop on rocket; `shop::open` says what can be set.
//
//     cargo run --example rocket --features rocket

use rocket::{Config, get, post, routes};
use shop::{Add, Answer, Failure, Login, STAY, Shop, pages, rocket::announced};
use typed_session::{Lifetime, Session};

#[rocket::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let (address, port) = (shop.address().ip(), shop.address().port());
    rocket::custom(Config { address, port, ..Config::release_default() })
        .mount("/", routes![home, api, style, visit, add, login, logout, show, rotate])
        .attach(shop.sessions())
        .attach(announced())
        .launch()
        .await?;
    shop.close().await;
    Ok(())
}

#[get("/")]
fn home(session: Session<Shop>) -> Answer {
    session.read(pages::home).into()
}

#[get("/api/session")]
fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[get("/style.css")]
fn style() -> Answer {
    pages::style().into()
}

#[post("/visit")]
fn visit(session: Session<Shop>) -> Answer {
    session.update(|shop| shop.visits += 1);
    pages::back_home().into()
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[post("/basket", data = "<form>")]
async fn add(session: Session<Shop>, form: Vec<u8>) -> Result<Answer, Answer> {
    let item = shop::form::<Add>(&form)?.item()?;
    let added = session.transact(|shop| shop.add(&item)).await?;
    Ok(pages::added(added).into())
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[post("/login", data = "<form>")]
async fn login(session: Session<Shop>, form: Vec<u8>) -> Result<Answer, Answer> {
    let form: Login = shop::form(&form)?;
    let user = form.user()?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[post("/logout")]
fn logout(session: Session<Shop>) -> Answer {
    session.end();
    pages::back_home().into()
}

#[post("/session")]
async fn rotate(session: Session<Shop>) -> Result<Answer, Answer> {
    session.rotate();
    show(session).await
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
#[get("/session")]
async fn show(session: Session<Shop>) -> Result<Answer, Answer> {
    session.commit().await?;
    Ok(pages::session(&session).into())
}
