//! The shop's pages as salvo's responses, and the end of its server.

use std::time::Duration;

use salvo::prelude::*;
use salvo::server::ServerHandle;

use crate::{Answer, Page, Sessions};

impl Scribe for Answer {
    fn render(self, response: &mut Response) {
        *response = Response::from(self.0);
    }
}

/// A page that is the same for all.
pub struct Fixed(pub fn() -> Page);

#[async_trait]
impl Handler for Fixed {
    async fn handle(&self, _: &mut Request, _: &mut Depot, to: &mut Response, _: &mut FlowCtrl) {
        to.render(Answer((self.0)()));
    }
}

/// Lets the requests that are under way come to their end.
pub fn stop_when_interrupted(server: ServerHandle) {
    tokio::spawn(async move {
        crate::interrupted().await;
        // Connections on which nothing was asked would hold it up for longer.
        server.stop_graceful(Duration::from_secs(5));
    });
}

/// Gives the handlers the layer, to ask it for the sessions of a user.
pub struct With(pub Sessions);

#[async_trait]
impl Handler for With {
    async fn handle(&self, _: &mut Request, depot: &mut Depot, _: &mut Response, _: &mut FlowCtrl) {
        depot.insert_typed(self.0.clone());
    }
}

/// The layer.
///
/// # Panics
///
/// Without a [`With`] around the handler.
pub fn sessions(depot: &Depot) -> &Sessions {
    depot.get_typed().expect("`With` is around all routes")
}
