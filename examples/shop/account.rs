//! What users do with their account, whatever the framework.
//!
//! Who may do it is no question here, for the programs ask it by the type of a handler's argument.

use std::cmp::Reverse;

use http::StatusCode;
use typed_session::{EndReason, Error, Session, SessionData, SessionInfo, SessionKey, Timestamp};

use crate::agent::named;
use crate::pages::{Page, Text, after_logout, page, problem, put, said, to};
use crate::{Sessions, Shop};

/// The user has shown again who they are.
pub fn confirmed(session: &Session<Shop>, name: &str) -> Page {
    if session.read(|shop| shop.user.as_deref() != Some(name)) {
        return problem(StatusCode::FORBIDDEN, "This is not the name that you logged in by.");
    }
    session.reauthenticate();
    session.update(|shop| shop.say("Thank you. Go on, within five minutes."));
    to("/devices")
}

/// Where the user is logged in.
pub async fn devices(sessions: &Sessions, session: &Session<Shop>) -> Result<Page, Error> {
    let token = session.csrf_token().await?.field();
    let user = session.read(|shop| shop.user.clone()).unwrap_or_default();
    let (mut known, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = sessions.sessions_of((&user).into(), after.as_ref(), 100).await?;
        known.extend(page.sessions);
        unreadable.extend(page.unreadable);
        after = page.next;
        if after.is_none() || known.len() >= MOST {
            break;
        }
    }
    known.sort_by_key(|info| (!info.is(session), Reverse(info.last_seen)));

    let mut devices = String::new();
    for info in &known {
        let here = if info.is(session) { r#" <span class="here">this device</span>"# } else { "" };
        let name = info.client.as_ref().map_or("", |client| client.user_agent());
        let what = format!("<b>{}</b>{here}<br>{}", Text(&named(name)), details(info));
        put(&mut devices, format_args!("{}", device(&token, info.key, &what)));
    }
    for key in unreadable {
        let what = "<b>A device that another version of the shop knows</b>";
        put(&mut devices, format_args!("{}", device(&token, key, what)));
    }
    let body = format!(
        r#"{said}<section class="wide"><h1>Your devices</h1>
<p class="note">Here <b class="user">{user}</b> is logged in. What a device calls itself is its own word.</p>
<ul class="devices">{devices}</ul>
<form method="post" action="/devices/end-others">{token}<button>Log out the others</button></form>
<h2 class="apart">Your account</h2>
<p class="note">Your basket will be gone, and you will be logged out everywhere.</p>
<form method="post" action="/account/delete">{token}<button class="grave">Delete the account</button></form>
</section>"#,
        said = said(session),
        user = Text(&user),
    );
    Ok(page(StatusCode::OK, "Your devices", &body))
}

/// Logs a device out, if it is one of the user's.
pub async fn end(
    sessions: &Sessions,
    session: &Session<Shop>,
    key: SessionKey,
) -> Result<Page, Error> {
    if session.key() == Some(key) {
        session.end();
        return Ok(after_logout());
    }
    let Some(user) = session.read(Shop::subject) else { return Ok(to("/login")) };
    // Not `end`, which asks nobody: a key is no secret.
    if !sessions.end_of(user, &key, EndReason::Revoked).await? {
        return Ok(problem(StatusCode::NOT_FOUND, "None of your devices has this key."));
    }
    session.update(|shop| shop.say("That device is logged out."));
    Ok(to("/devices"))
}

/// Logs all devices out but this one.
pub async fn end_others(sessions: &Sessions, session: &Session<Shop>) -> Result<Page, Error> {
    let ended = sessions.end_others(session, EndReason::Revoked).await?;
    let devices = if ended == 1 { "device is" } else { "devices are" };
    session.update(|shop| shop.say(format!("{ended} other {devices} logged out.")));
    Ok(to("/devices"))
}

/// Deletes the account. All that this shop keeps of one is in its sessions.
pub async fn delete(sessions: &Sessions, session: &Session<Shop>) -> Result<Page, Error> {
    // This one last: if the store fails, the user is still there to try again.
    sessions.end_others(session, EndReason::Revoked).await?;
    session.end();
    Ok(to("/deleted"))
}

fn device(token: &str, key: SessionKey, what: &str) -> String {
    format!(
        r#"<li class="card"><div>{what}</div>
<form method="post" action="/devices/end">{token}
<button class="quiet" name="key" value="{key}">Log out this one</button></form></li>"#
    )
}

/// What is known of a session, in a line.
fn details(info: &SessionInfo) -> String {
    let address = info.client.as_ref().and_then(|client| client.address());
    let address = address.map_or_else(String::new, |address| format!("{address} · "));
    let login = minute(info.authenticated_at.unwrap_or(info.created_at));
    let seen = minute(info.last_seen);
    format!(r#"<span class="note">{address}logged in {login} · last seen {seen}</span>"#)
}

/// A time without its seconds.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// Nobody reads a longer list.
const MOST: usize = 200;
