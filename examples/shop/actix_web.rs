//! The shop's pages as actix-web's responses, whose words are of another version of the `http` crate.

use std::fmt::{self, Debug, Display, Formatter};

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};

use crate::Answer;

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

/// For what was typed and cannot be taken.
impl ResponseError for Answer {
    fn error_response(&self) -> HttpResponse {
        let page = &self.0;
        let mut response =
            HttpResponse::build(page.status().as_u16().try_into().unwrap_or_default());
        for (name, value) in page.headers() {
            response.insert_header((name.as_str(), value.as_bytes()));
        }
        response.body(page.body().clone())
    }
}

/// As actix-web logs it.
impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0.status(), f)
    }
}

impl Debug for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}
