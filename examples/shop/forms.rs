//! What visitors type.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::pages::{self, Page};

/// No form of the shop is longer, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

pub(crate) const MAX_USER: usize = 40;
pub(crate) const MAX_ITEM: usize = 80;

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

/// Reads a form, where the framework does not.
pub fn form<F: DeserializeOwned>(body: &[u8]) -> Result<F, Page> {
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
