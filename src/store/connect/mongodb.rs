//! `mongodb:` and `mongodb+srv:`

use std::time::Duration;

use async_trait::async_trait;
use mongodb::Client;
use mongodb::bson::doc;
use mongodb::error::ErrorKind;
use mongodb::options::ClientOptions;

use super::ConnectError;
use crate::store::erased::Connected;
use crate::store::{DynStore, MongoStore, Result};

/// How long a verb looks for a server, if the URL does not say.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn connect(
    url: &str,
    name: Option<&str>,
) -> std::result::Result<DynStore, ConnectError> {
    let seeds =
        url.get(.."mongodb+srv".len()).is_some_and(|it| it.eq_ignore_ascii_case("mongodb+srv"));
    let parsed = ClientOptions::parse(url).await;
    let mut options =
        parsed.map_err(|error| if seeds { unresolved(error) } else { refused(error) })?;
    options.server_selection_timeout.get_or_insert(PATIENCE);
    let client = Client::with_options(options).map_err(refused)?;
    let Some(database) = client.default_database() else {
        return Err(ConnectError::invalid("it names no database"));
    };
    // The driver connects when it has to; who starts a program wants to know now.
    database.run_command(doc! { "ping": 1 }).await.map_err(refused)?;
    let store = MongoStore::new(database);
    let store = match name {
        Some(name) => store.collection(name),
        None => store,
    };
    Ok(DynStore::connected(store.clone(), Opened { store, client }))
}

fn refused(error: mongodb::error::Error) -> ConnectError {
    match &*error.kind {
        ErrorKind::InvalidArgument { .. } => ConnectError::unreadable(),
        // `mongodb+srv:` asks the name server as soon as the URL is read.
        _ => ConnectError::Failed(error.into()),
    }
}

/// The same where the reason may be that the driver was built to ask no name server.
fn unresolved(error: mongodb::error::Error) -> ConnectError {
    match refused(error) {
        ConnectError::Invalid(_) => ConnectError::invalid(
            "the driver cannot read it; mongodb+srv: needs the driver's feature `dns-resolver`",
        ),
        failed => failed,
    }
}

struct Opened {
    store: MongoStore,
    client: Client,
}

#[async_trait]
impl Connected for Opened {
    async fn migrate(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn close(&self) {
        self.client.clone().shutdown().await;
    }
}
