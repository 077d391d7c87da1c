//! The shop's forms, as warp's filters.

use serde::de::DeserializeOwned;
use warp::{Filter, Rejection, body};

use crate::{BODY_LIMIT, Sent};

/// What was typed, if it is not too long.
pub fn form<F: DeserializeOwned + Send>()
-> impl Filter<Extract = (Sent<F>,), Error = Rejection> + Copy {
    body::content_length_limit(BODY_LIMIT as u64).and(body::form())
}
