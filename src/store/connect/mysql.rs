//! `mysql:`

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::MySql;
use sqlx::mysql::MySqlConnectOptions;

use super::ConnectError;
use super::sql::{self, Opened};
use crate::store::erased::Connected;
use crate::store::{DynStore, MySqlStore, Result};

pub(super) async fn connect(
    url: &str,
    name: Option<&str>,
) -> std::result::Result<DynStore, ConnectError> {
    let options = MySqlConnectOptions::from_str(url).map_err(|_| ConnectError::unreadable())?;
    let pool = sql::pool::<MySql>(options).await?;
    sql::named(pool.clone(), MySqlStore::new(pool), name, MySqlStore::table)
}

#[async_trait]
impl Connected for Opened<MySqlStore, MySql> {
    async fn migrate(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
