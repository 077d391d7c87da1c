//! What visitors type.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use typed_session::{Session, SessionKey};

use crate::Shop;
use crate::pages::{self, Page};

/// No form of the shop is longer, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

pub(crate) const MAX_USER: usize = 40;
pub(crate) const MAX_ITEM: usize = 80;

/// What a form sends: its fields, and the token that shows that it is one of this session's own.
///
/// The fields can be had in no other way than by the check of the token.
#[derive(Deserialize)]
pub struct Sent<F = Nothing> {
    #[serde(default)]
    csrf_token: String,
    #[serde(flatten)]
    fields: F,
}

/// The fields of a form that is but a button.
#[derive(Deserialize)]
pub struct Nothing {}

impl<F> Sent<F> {
    /// The fields, or the page that says that the form is none of this session's.
    pub fn verified(self, session: &Session<Shop>) -> Result<F, Page> {
        session.verify_csrf(&self.csrf_token).map_err(pages::failed)?;
        Ok(self.fields)
    }

    /// The same, for what a visitor may do without any session.
    ///
    /// Nothing of who has none can be changed behind their back. Not for a login: a strange page
    /// could log them in as somebody else, who would see from then on what they do.
    pub fn verified_unless_new(self, session: &Session<Shop>) -> Result<F, Page> {
        if session.key().is_none() { Ok(self.fields) } else { self.verified(session) }
    }
}

/// The form of an item that goes into the basket.
#[derive(Deserialize)]
pub struct Add {
    #[serde(default)]
    item: String,
}

impl Add {
    /// The item, or the page that says why not.
    pub fn item(&self) -> Result<String, Page> {
        line("An item", &self.item, MAX_ITEM)
    }
}

/// The form of a login.
#[derive(Deserialize)]
pub struct Login {
    #[serde(default)]
    user: String,
    remember: Option<String>,
}

impl Login {
    /// The name, or the page that says why not.
    pub fn user(&self) -> Result<String, Page> {
        line("A name", &self.user, MAX_USER)
    }

    /// Whether "stay signed in" is ticked.
    pub fn stays(&self) -> bool {
        matches!(self.remember.as_deref(), Some("on" | "yes" | "true" | "1"))
    }
}

/// The form of a device that is to be logged out.
#[derive(Deserialize)]
pub struct Device {
    #[serde(default)]
    key: String,
}

impl Device {
    /// The name of the device's session, or the page that says that it is none.
    pub fn key(&self) -> Result<SessionKey, Page> {
        self.key.parse().map_err(|_| pages::refused("This is the key of no session."))
    }
}

/// Reads a form, where the framework does not.
pub fn form<F: DeserializeOwned>(body: &[u8]) -> Result<Sent<F>, Page> {
    serde_urlencoded::from_bytes(body).map_err(|_| pages::refused("This is not the shop's form."))
}

/// One line of text, as someone types it.
fn line(what: &str, text: &str, max: usize) -> Result<String, Page> {
    let text = text.trim();
    if text.is_empty() {
        return Err(pages::refused(&format!("{what} must not be empty.")));
    }
    if text.chars().count() > max {
        return Err(pages::refused(&format!("{what} is at most {max} characters long.")));
    }
    if text.chars().any(char::is_control) {
        return Err(pages::refused(&format!("{what} is one line of plain text.")));
    }
    Ok(text.to_owned())
}
