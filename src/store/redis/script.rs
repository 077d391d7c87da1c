//! Running a script, and waiting for replicas.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::error::failed;
use crate::store::{Error, ErrorKind, Result};

macro_rules! script {
    ($name:literal) => {
        script!("", $name)
    };
    ($first:literal, $name:literal) => {
        Script::new(concat!(
            $first,
            include_str!("lua/common.lua"),
            include_str!(concat!("lua/", $name))
        ))
    };
}

pub(super) struct Scripts {
    pub(super) enter: Script,
    pub(super) insert: Script,
    pub(super) replace: Script,
    /// The same for a tombstone: a server that is out of memory lets users log out.
    pub(super) erase: Script,
    pub(super) touch: Script,
    pub(super) end: Script,
    pub(super) scan: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            enter: script!("enter.lua"),
            insert: script!("insert.lua"),
            replace: script!("replace.lua"),
            erase: script!("#!lua flags=allow-oom\n", "replace.lua"),
            touch: script!("touch.lua"),
            end: script!("#!lua flags=allow-oom\n", "end.lua"),
            scan: script!("scan.lua"),
        }
    }
}

pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    fn command(&self, by: By, keys: &[&[u8]], args: &[&[u8]]) -> Cmd {
        let (name, script) = match by {
            By::Hash => ("EVALSHA", self.hash.as_str()),
            By::Text => ("EVAL", self.text),
        };
        let parts = keys.iter().chain(args);
        // All at once, because what grows is copied each time; the number of keys is one digit.
        let bytes: usize = parts.clone().map(|part| part.len()).sum();
        let count = 3 + keys.len() + args.len();
        let mut command = Cmd::with_capacity(count, name.len() + script.len() + 1 + bytes);
        command.arg(name).arg(script).arg(keys.len());
        for part in parts {
            command.arg(*part);
        }
        command
    }

    /// Runs the script by its hash or, where the server does not know it (any more),
    /// by its text, from which the server learns it.
    ///
    /// Not by `SCRIPT LOAD`, because a cluster's client sends that to all servers, of
    /// which one may be down, and because the one that is asked next may be new.
    pub(super) async fn run<C: ConnectionLike>(
        &self,
        connection: &mut C,
        replicas: Option<Replicas>,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Value> {
        let by_hash = self.command(By::Hash, keys, args);
        match write(connection, replicas, by_hash).await {
            Err(Failure::Engine(error)) if is_unknown(&error) => {
                let by_text = self.command(By::Text, keys, args);
                write(connection, replicas, by_text).await.map_err(Error::from)
            }
            done => done.map_err(Error::from),
        }
    }
}

enum By {
    Hash,
    Text,
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript)
}

/// How many replicas must have a write before it counts, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) timeout: Duration,
}

pub(super) enum Failure {
    Engine(RedisError),
    Replicas(TooFewReplicas),
}

#[derive(Debug, thiserror::Error)]
#[error("{there} of {wanted} replicas have the write so far")]
pub(super) struct TooFewReplicas {
    there: i64,
    wanted: usize,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Engine(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(error) => failed(error),
            Failure::Replicas(error) => Self::new(ErrorKind::Unavailable, error),
        }
    }
}

/// Sends a command that writes; with `WAIT` behind it in the same packet, which
/// concerns all that was written before on this connection.
pub(super) async fn write<C: ConnectionLike>(
    connection: &mut C,
    replicas: Option<Replicas>,
    command: Cmd,
) -> Result<Value, Failure> {
    let Some(Replicas { count, timeout }) = replicas else {
        return Ok(command.query_async(connection).await?);
    };
    // 0 is for ever.
    let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.add_command(command).cmd("WAIT").arg(count).arg(timeout).ignore_errors();
    let [done, there]: [RedisResult<Value>; 2] = {
        let answers: Vec<RedisResult<Value>> = pipeline.query_async(connection).await?;
        answers.try_into().map_err(|_| RedisError::from(UNASKED))?
    };
    let done = done?;
    match there? {
        Value::Int(there) if usize::try_from(there).is_ok_and(|there| there >= count) => Ok(done),
        Value::Int(there) => Err(Failure::Replicas(TooFewReplicas { there, wanted: count })),
        _ => Err(Failure::Engine(UNASKED.into())),
    }
}

pub(super) const UNASKED: (redis::ErrorKind, &str) =
    (redis::ErrorKind::UnexpectedReturnType, "an answer to something else");
