//! The seven verbs and the walk, once for all engines.

/// Writes what is the same for every engine: constructor, name and schema of the
/// table, and the verbs, each as one statement outside of any transaction.
///
/// After a statement stands what is bound to it, in order: fields of `Values`. It
/// is a macro because sqlx's bounds on a database that is a parameter are longer
/// than the verbs.
macro_rules! sql_store {
    (
        $Store:ident: $DB:ty, $SCHEMA:ident;
        load: $LOAD:ident($($load:ident),*);
        insert: $INSERT:ident($($insert:ident),*);
        replace: $REPLACE:ident($($replace:ident),*);
        touch: $TOUCH:ident($($touch:ident),*);
        end: $END:ident($($end:ident),*);
        sessions_of: $SESSIONS_OF:ident($($sessions_of:ident),*);
        remove_expired: $REMOVE_EXPIRED:ident($($remove_expired:ident),*);
        scan: $SCAN:ident($($scan:ident),*);
    ) => {
        // With what it needs, so that an engine's file imports only what it says itself.
        const _: () = {
            use std::borrow::Cow;
            use std::fmt;

            use sqlx::AssertSqlSafe;

            use crate::id::SessionKey;
            use crate::record::Record;
            use crate::store::sql::{
                DEFAULT_TABLE, Sql, Statements, TableNameError, Values, checked, count, failed, named,
                page, record,
            };
            use crate::store::{Cursor, Inserted, Page, Replaced, Result, Revision, Scan, Store};
            use crate::subject::Subject;
            use crate::time::Timestamp;

            impl $Store {
                /// Makes a store that keeps its records in the table `typed_sessions`.
                #[must_use]
                pub fn new(pool: sqlx::Pool<$DB>) -> Self {
                    let statements = Statements {
                        load: $LOAD,
                        insert: $INSERT,
                        replace: $REPLACE,
                        touch: $TOUCH,
                        end: $END,
                        sessions_of: $SESSIONS_OF,
                        remove_expired: $REMOVE_EXPIRED,
                        scan: $SCAN,
                    };
                    let template = statements.map(|sql| Cow::Borrowed(*sql));
                    Self { sql: Sql::new(pool, DEFAULT_TABLE, template).into() }
                }

                /// Sets the table's name.
                ///
                /// # Errors
                ///
                /// Unless it is 1 to 48 ASCII letters, digits and underscores, without a
                /// digit or `sqlite_` at the start.
                pub fn table(self, name: &str) -> Result<Self, TableNameError> {
                    let Sql { pool, template, .. } = &*self.sql;
                    Ok(Self { sql: Sql::new(pool.clone(), checked(name)?, template.clone()).into() })
                }

                /// Returns the SQL that makes the table, for migrations of your own.
                #[must_use]
                pub fn schema(&self) -> String {
                    named($SCHEMA, &self.sql.table)
                }
            }

            impl fmt::Debug for $Store {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($Store))
                        .field("table", &self.sql.table)
                        .finish_non_exhaustive()
                }
            }

            impl Store for $Store {
                async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
                    let values = &Values { key: key.as_bytes(), ..Values::default() };
                    let row = run!(self.load($($load),*), values, fetch_optional);
                    let row = row.map_err(failed::<$DB>)?;
                    row.as_ref().map(record).transpose()
                }

                async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
                    let values = &Values::of(key, record);
                    match run!(self.insert($($insert),*), values, execute) {
                        Ok(done) if done.rows_affected() > 0 => Ok(Inserted::Created),
                        Ok(_) => Ok(Inserted::Exists),
                        Err(sqlx::Error::Database(error)) if <$DB>::is_duplicate(&*error) => {
                            Ok(Inserted::Exists)
                        }
                        Err(error) => Err(failed::<$DB>(error)),
                    }
                }

                async fn replace(
                    &self,
                    key: &SessionKey,
                    expected: Revision,
                    record: &Record,
                ) -> Result<Replaced> {
                    let values = &Values { at: expected.as_i64(), ..Values::of(key, record) };
                    let done = run!(self.replace($($replace),*), values, execute);
                    if done.map_err(failed::<$DB>)?.rows_affected() > 0 {
                        return Ok(Replaced::Done);
                    }
                    Ok(Replaced::Conflict(self.load(key).await?))
                }

                async fn touch(
                    &self,
                    key: &SessionKey,
                    at: Revision,
                    expires_at: Timestamp,
                ) -> Result<()> {
                    let values = &Values {
                        key: key.as_bytes(),
                        at: at.as_i64(),
                        expires_at: expires_at.as_millis(),
                        ..Values::default()
                    };
                    run!(self.touch($($touch),*), values, execute).map_err(failed::<$DB>)?;
                    Ok(())
                }

                async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
                    let values = &Values::of(key, tombstone);
                    run!(self.end($($end),*), values, execute).map_err(failed::<$DB>)?;
                    Ok(())
                }

                async fn sessions_of(
                    &self,
                    subject: &Subject,
                    after: Option<&SessionKey>,
                    limit: usize,
                ) -> Result<Vec<SessionKey>> {
                    let mut keys = Vec::new();
                    let mut from = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
                    loop {
                        let wanted = limit - keys.len();
                        let values = &Values {
                            subject: Some(subject.as_bytes()),
                            after: &from,
                            limit: count(wanted),
                            ..Values::default()
                        };
                        let rows = run!(self.sessions_of($($sessions_of),*), values, fetch_all);
                        let rows = rows.map_err(failed::<$DB>)?;
                        // What has no proper key is no session, and must not keep the others in.
                        keys.extend(rows.iter().filter_map(|row| crate::store::sql::key(row).ok()));
                        match crate::store::sql::last(&rows)? {
                            Some(last) if rows.len() >= wanted && keys.len() < limit => from = last,
                            _ => return Ok(keys),
                        }
                    }
                }

                async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
                    let values =
                        &Values { now: now.as_millis(), limit: count(limit), ..Values::default() };
                    let done = run!(self.remove_expired($($remove_expired),*), values, execute);
                    let removed = done.map_err(failed::<$DB>)?.rows_affected();
                    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
                }
            }

            impl Scan for $Store {
                async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
                    let limit = limit.max(1);
                    let values = &Values {
                        after: from.map_or(&[], Cursor::as_bytes),
                        limit: count(limit),
                        ..Values::default()
                    };
                    let rows = run!(self.scan($($scan),*), values, fetch_all);
                    page(&rows.map_err(failed::<$DB>)?, limit)
                }
            }
        };
    };
}

/// Runs a verb's statement on the pool.
macro_rules! run {
    ($store:ident.$verb:ident($($value:ident),*), $values:ident, $fetch:ident) => {
        $store
            .sql
            .tried(|pool| {
                sqlx::query(AssertSqlSafe($store.sql.statements.$verb.clone()))
                    $(.bind($values.$value))*
                    .$fetch(pool)
            })
            .await
    };
}
