//! Session data as bytes.

use serde_json::Value;

use crate::data::SessionData;

mod json;
#[cfg(feature = "messagepack")]
mod messagepack;

/// How session data is written. What is read says itself which it is, so that
/// a running system can change.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Encoding {
    /// JSON: readable in the database by eye and by SQL. The default.
    #[default]
    Json,
    /// MessagePack with field names: smaller than JSON, and a type that looks
    /// different to people and to machines looks as it does to people, as in JSON.
    #[cfg(feature = "messagepack")]
    MessagePack,
}

impl Encoding {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Json => 0,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => 1,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Json),
            #[cfg(feature = "messagepack")]
            1 => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// Appends the data's bytes.
    pub(crate) fn encode<T: SessionData>(
        self,
        data: &T,
        into: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Json => json::encode(data, into),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::encode(data, into),
        }
    }

    /// Reads data of schema `version`; nothing if it cannot be read.
    pub(crate) fn decode<T: SessionData>(self, version: u32, bytes: &[u8]) -> Option<T> {
        if version == T::VERSION {
            match self {
                Self::Json => json::decode(bytes),
                #[cfg(feature = "messagepack")]
                Self::MessagePack => messagepack::decode(bytes),
            }
        } else {
            T::migrate(version, self.tree(bytes)?)
        }
    }

    fn tree(self, bytes: &[u8]) -> Option<Value> {
        match self {
            Self::Json => json::decode(bytes),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::decode(bytes),
        }
    }

    /// Tells whether two encodings are of equal data.
    ///
    /// A map in random order encodes equal data in another order. Such bytes
    /// are a permutation of each other, which is cheap to see, so that trees are
    /// compared only where it may help.
    pub(crate) fn equal(self, a: &[u8], b: &[u8]) -> bool {
        if a.len() != b.len() {
            return false;
        }
        let (some, others) = differing(a, b);
        some.is_empty()
            || (sums(some) == sums(others) && self.tree(a).is_some_and(|a| Some(a) == self.tree(b)))
    }
}

/// What lies between the words at the beginning and those at the end that both have in common.
fn differing<'a>(a: &'a [u8], b: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    const WORD: usize = size_of::<u64>();
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let start = WORD * words.take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let words = a.rchunks_exact(WORD).zip(b.rchunks_exact(WORD));
    let end = a.len() - WORD * words.take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..end], &b[..end]);
    if a == b { (&[], &[]) } else { (a, b) }
}

/// Equal for permutations, and mostly different otherwise.
fn sums(bytes: &[u8]) -> (u32, u32) {
    // In 32 bits and apart, so that it is done on many bytes at once.
    let sum = bytes.iter().fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)));
    let squares = bytes.iter().fold(0, |sum: u32, byte| {
        let byte = u32::from(*byte);
        sum.wrapping_add(byte * byte)
    });
    (sum, squares)
}

/// The session data has no encoding: a map whose keys are no strings, or a
/// `Serialize` that refuses.
#[derive(Debug, thiserror::Error)]
#[error("the session data cannot be encoded")]
pub struct EncodeError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl EncodeError {
    pub(crate) fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_map_is_equal_and_a_changed_one_is_not() {
        let json = Encoding::Json;
        assert!(json.equal(br#"{"a":1,"b":2}"#, br#"{"b":2,"a":1}"#));
        // The same bytes in another order, and other data.
        assert!(!json.equal(br#"{"a":1,"b":2}"#, br#"{"a":2,"b":1}"#));
        assert!(!json.equal(br#"{"n":41}"#, br#"{"n":42}"#));
        assert!(!json.equal(br#"{"n":41}"#, br#"{"n":14}"#));
        assert!(!json.equal(b"1}", b"}1"), "what does not decode is not equal");
    }

    #[cfg(feature = "messagepack")]
    #[test]
    fn both_encodings_hold_the_same_tree() {
        let tree = serde_json::json!({"a": [1, -2, 3.5, null, "x"], "b": {"c": true}});
        let mut bytes = Vec::new();
        messagepack::encode(&tree, &mut bytes).unwrap();
        assert_eq!(Encoding::MessagePack.tree(&bytes), Some(tree));
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
    struct Everything {
        none: Option<u8>,
        some: Option<String>,
        number: i64,
        float: f64,
        list: Vec<bool>,
        map: std::collections::BTreeMap<String, u64>,
        choice: Choice,
        tuple: (u8, char),
        address: Option<std::net::IpAddr>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
    enum Choice {
        #[default]
        Unit,
        Fields {
            a: u8,
        },
    }

    impl SessionData for Everything {}

    #[track_caller]
    fn golden(encoding: Encoding, bytes: &[u8]) {
        let everything = Everything {
            none: None,
            some: Some("smörgås".into()),
            number: i64::MIN,
            float: 0.5,
            list: vec![true, false],
            map: [("one".to_owned(), 1), ("most".to_owned(), u64::MAX)].into(),
            choice: Choice::Fields { a: 7 },
            tuple: (255, '€'),
            address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        };
        let mut encoded = Vec::new();
        encoding.encode(&everything, &mut encoded).unwrap();
        assert_eq!(encoded.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        assert_eq!(encoding.decode(0, bytes), Some(everything));
    }

    #[test]
    fn stored_json_is_read_as_it_was_written() {
        golden(Encoding::Json, include_str!("../golden/data.json").trim_end().as_bytes());
    }

    #[cfg(feature = "messagepack")]
    #[test]
    fn stored_messagepack_is_read_as_it_was_written() {
        let hex = include_str!("../golden/data_messagepack.hex");
        golden(Encoding::MessagePack, &crate::golden::bytes(hex));
    }
}
