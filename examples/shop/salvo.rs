//! The shop's pages as salvo's responses, and the end of its server.

use std::time::Duration;

use salvo::prelude::*;
use salvo::server::ServerHandle;

use crate::{Answer, pages};

impl Scribe for Answer {
    fn render(self, response: &mut Response) {
        *response = Response::from(self.0);
    }
}

/// The style sheet of all pages.
#[handler]
pub async fn style() -> Answer {
    pages::style().into()
}

/// Lets the requests that are under way come to their end.
pub fn stop_when_interrupted(server: ServerHandle) {
    tokio::spawn(async move {
        crate::interrupted().await;
        // Connections on which nothing was asked would hold it up for longer.
        server.stop_graceful(Duration::from_secs(5));
    });
}
