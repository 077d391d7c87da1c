//! `postgres:`

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::Postgres;
use sqlx::postgres::PgConnectOptions;

use super::ConnectError;
use super::sql::{self, Opened};
use crate::store::erased::Connected;
use crate::store::{DynStore, PostgresStore, Result};

pub(super) async fn connect(
    url: &str,
    name: Option<&str>,
) -> std::result::Result<DynStore, ConnectError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| ConnectError::unreadable())?;
    let pool = sql::pool::<Postgres>(options).await?;
    sql::named(pool.clone(), PostgresStore::new(pool), name, PostgresStore::table)
}

#[async_trait]
impl Connected for Opened<PostgresStore, Postgres> {
    async fn migrate(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
