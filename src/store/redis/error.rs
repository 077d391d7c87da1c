//! What the driver's errors mean for a session.

use redis::{RedisError, ServerErrorKind};

use crate::store::{Error, ErrorKind};

pub(super) fn failed(error: RedisError) -> Error {
    let kind = match error.kind() {
        // Refused, cut, timed out; no node of the cluster or no primary known.
        redis::ErrorKind::Io
        | redis::ErrorKind::ClusterConnectionNotFound
        | redis::ErrorKind::MasterNameNotFoundBySentinel
        | redis::ErrorKind::NoValidReplicasFoundBySentinel => ErrorKind::Unavailable,
        redis::ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask => ErrorKind::Unavailable,
            ServerErrorKind::ResponseError if is_too_large(&error) => ErrorKind::TooLarge,
            _ => ErrorKind::Other,
        },
        redis::ErrorKind::Extension => match error.code() {
            // A script that runs too long, no memory, no disk, too few replicas.
            Some("BUSY" | "OOM" | "MISCONF" | "NOREPLICAS") => ErrorKind::Unavailable,
            Some("WRONGTYPE") => ErrorKind::Corrupt,
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    };
    Error::new(kind, error)
}

/// A value above `proto-max-bulk-len`, 512 MiB unless the server is told otherwise.
fn is_too_large(error: &RedisError) -> bool {
    error.detail().is_some_and(|text| {
        text.contains("invalid bulk length") || text.contains("proto-max-bulk-len")
    })
}
