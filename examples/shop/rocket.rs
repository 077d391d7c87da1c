//! The shop's pages as rocket's responses, for rocket has words of its own for all of HTTP.

use std::io::Cursor;

use rocket::Request;
use rocket::fairing::{AdHoc, Fairing};
use rocket::http::Status;
use rocket::response::{Responder, Response, Result};

use crate::{Answer, Open};

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, _: &'r Request<'_>) -> Result<'static> {
        let (head, text) = self.0.into_parts();
        let mut response = Response::new();
        response.set_status(Status::new(head.status.as_u16()));
        response.set_sized_body(text.len(), Cursor::new(text));
        for (name, value) in &head.headers {
            let value = value.to_str().map_err(|_| Status::InternalServerError)?;
            response.adjoin_raw_header(name.to_string(), value.to_owned());
        }
        Ok(response)
    }
}

/// Tells the user where the shop is, once rocket knows the port.
pub fn announced() -> impl Fairing {
    AdHoc::on_liftoff("Announcement", |rocket| {
        Box::pin(async { Open::announce(rocket.config().port) })
    })
}
