// The shop on cot, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example cot --features cot

use cot::project::{MiddlewareContext, RegisterAppsContext, RootHandler, RootHandlerBuilder};
use cot::router::{Route, Router, method::get, method::post};
use cot::{AppBuilder, Project, bytes::Bytes};
use shop::cot::{Pages, fixed, page};
use shop::pages::{self, failed};
use shop::{Add, Device, Failure, Login, Nothing, Page, STAY, Sessions, Shop, account, form};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let project = Tea(shop.sessions());
    shop::cot::serve(shop, project).await
}

struct Tea(Sessions);

impl Project for Tea {
    fn register_apps(&self, apps: &mut AppBuilder, _: &RegisterAppsContext) {
        apps.register_with_views(Pages(routes(&self.0)), "");
    }

    fn middlewares(&self, handler: RootHandlerBuilder, _: &MiddlewareContext) -> RootHandler {
        handler.middleware(self.0.clone()).build()
    }
}

fn routes(all: &Sessions) -> Router {
    Router::with_urls([
        Route::with_handler("/", get(page(all, home))),
        Route::with_handler("/visit", post(page(all, visit))),
        Route::with_handler("/basket", post(page(all, add))),
        Route::with_handler("/login", get(page(all, login_page)).post(page(all, login))),
        Route::with_handler("/logout", post(page(all, logout))),
        Route::with_handler("/goodbye", get(fixed(pages::goodbye))),
        Route::with_handler("/devices", get(page(all, devices))),
        Route::with_handler("/devices/end", post(page(all, end))),
        Route::with_handler("/devices/end-others", post(page(all, end_others))),
        Route::with_handler("/confirm", get(page(all, confirm_page)).post(page(all, confirm))),
        Route::with_handler("/account/delete", post(page(all, delete))),
        Route::with_handler("/deleted", get(fixed(pages::deleted))),
        Route::with_handler("/session", get(page(all, show)).post(page(all, rotate))),
        Route::with_handler("/api/session", get(page(all, api))),
        Route::with_handler("/style.css", get(fixed(pages::style))),
    ])
}

type Answer = Result<Page, Page>;
type Visitor = Session<Shop>;

async fn home(session: Visitor, _: Bytes, _: Sessions) -> Answer {
    pages::home(&session).await.map_err(failed)
}

async fn api(session: Visitor, _: Bytes, _: Sessions) -> Answer {
    Ok(pages::api(&session))
}

async fn visit(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    form::<Nothing>(&body)?.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    let item = form::<Add>(&body)?.verified_unless_new(&session)?.item()?;
    session.transact(|shop| shop.add(&item)).await.map(pages::added).map_err(failed)
}

async fn login_page(session: Visitor, _: Bytes, _: Sessions) -> Answer {
    pages::login(&session).await.map_err(failed)
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    let form = form::<Login>(&body)?.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    form::<Nothing>(&body)?.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout())
}

async fn show(session: Visitor, _: Bytes, _: Sessions) -> Answer {
    pages::session(&session).await.map_err(failed)
}

async fn rotate(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    form::<Nothing>(&body)?.verified(&session)?;
    session.rotate();
    pages::session(&session).await.map_err(failed)
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

async fn devices(session: Visitor, _: Bytes, all: Sessions) -> Answer {
    let user = User::check(session).map_err(failed)?;
    account::devices(&all, &user).await.map_err(failed)
}

async fn end(session: Visitor, body: Bytes, all: Sessions) -> Answer {
    let user = User::check(session).map_err(failed)?;
    let key = form::<Device>(&body)?.verified(&user)?.key()?;
    account::end(&all, &user, key).await.map_err(failed)
}

async fn end_others(session: Visitor, body: Bytes, all: Sessions) -> Answer {
    let user = RecentUser::check(session).map_err(failed)?;
    form::<Nothing>(&body)?.verified(&user)?;
    account::end_others(&all, &user).await.map_err(failed)
}

async fn delete(session: Visitor, body: Bytes, all: Sessions) -> Answer {
    let user = RecentUser::check(session).map_err(failed)?;
    form::<Nothing>(&body)?.verified(&user)?;
    account::delete(&all, &user).await.map_err(failed)
}

async fn confirm_page(session: Visitor, _: Bytes, _: Sessions) -> Answer {
    let user = User::check(session).map_err(failed)?;
    pages::confirm(&user).await.map_err(failed)
}

async fn confirm(session: Visitor, body: Bytes, _: Sessions) -> Answer {
    let user = User::check(session).map_err(failed)?;
    let name = form::<Login>(&body)?.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name))
}
