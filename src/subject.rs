//! Who a session belongs to.

use std::fmt;

use blake3::hazmat::ContextKey;

use crate::id::derive;

/// Who a session belongs to: a user id, hashed.
///
/// Made of whatever the application calls its users by. A number and its
/// decimal digits are the same subject, so a user may be looked up by either.
///
/// ```
/// use typed_session::Subject;
///
/// assert_eq!(Subject::from(42u64), Subject::from("42"));
/// assert_ne!(Subject::from("alice"), Subject::from("bob"));
/// ```
///
/// # Security
///
/// Stores index the hash, so that a dump of them is not a list of user names.
/// It is a pseudonym and no secret: who can guess a user id can hash it too.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subject([u8; 32]);

impl Subject {
    /// Makes a subject of its hash, as a store read it.
    #[must_use]
    pub const fn from_hash(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash, as a store writes it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl From<&[u8]> for Subject {
    fn from(name: &[u8]) -> Self {
        Self(derive(&SUBJECT, name).into())
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        name.as_bytes().into()
    }
}

impl From<&String> for Subject {
    fn from(name: &String) -> Self {
        name.as_bytes().into()
    }
}

impl From<String> for Subject {
    fn from(name: String) -> Self {
        name.as_bytes().into()
    }
}

impl From<u128> for Subject {
    fn from(number: u128) -> Self {
        match u64::try_from(number) {
            Ok(number) => number.into(),
            Err(_) => number.to_string().into(),
        }
    }
}

impl From<u64> for Subject {
    fn from(mut number: u64) -> Self {
        // In place: it is asked for by each write.
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits[start..].into();
            }
        }
    }
}

impl From<u32> for Subject {
    fn from(number: u32) -> Self {
        u64::from(number).into()
    }
}

impl From<i64> for Subject {
    fn from(number: i64) -> Self {
        match u64::try_from(number) {
            Ok(number) => number.into(),
            Err(_) => number.to_string().into(),
        }
    }
}

impl From<i32> for Subject {
    fn from(number: i32) -> Self {
        i64::from(number).into()
    }
}

const SUBJECT: ContextKey = [
    0xb1, 0x2e, 0xd7, 0xcb, 0x73, 0x21, 0xb7, 0x32, 0xc7, 0xf7, 0xef, 0x8b, 0x18, 0x11, 0x8f, 0x70,
    0x3a, 0xcd, 0xa2, 0x33, 0xb1, 0x67, 0xdf, 0x49, 0x92, 0x1f, 0x78, 0x34, 0x87, 0x8e, 0x90, 0xb5,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_what_its_constant_says() {
        let context = "typed-session 2026-11-22 subject";
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), SUBJECT);
    }

    #[test]
    fn every_number_is_its_decimal_digits() {
        assert_eq!(Subject::from(0u32), Subject::from("0"));
        assert_eq!(Subject::from(u64::MAX), Subject::from(u64::MAX.to_string()));
        assert_eq!(Subject::from(u128::MAX), Subject::from(u128::MAX.to_string()));
        assert_eq!(Subject::from(i64::MIN), Subject::from(i64::MIN.to_string()));
        assert_eq!(Subject::from(-7), Subject::from("-7"));
        assert_eq!(Subject::from(1234567890u64), Subject::from(&b"1234567890"[..]));
    }

    #[test]
    fn what_is_derived_from_a_name_never_changes() {
        let mut count = 0;
        for line in include_str!("golden/subjects.txt").lines().skip(1) {
            let (hash, name) = line.split_once(' ').expect("a hash and a name");
            assert_eq!(Subject::from(name).as_bytes()[..], crate::golden::bytes(hash));
            count += 1;
        }
        assert_eq!(count, 4);
    }
}
