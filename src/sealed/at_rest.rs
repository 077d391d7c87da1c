//! Session data that no store can read.

use blake3::hazmat::ContextKey;
use zeroize::Zeroizing;

use super::cipher;
use crate::data::SessionData;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::id::{SessionId, SessionKey};
use crate::layer::SessionLayer;
use crate::store::Store;
use crate::subject::Subject;

/// What becomes of rows whose data is not encrypted, on a layer that
/// [encrypts](SessionLayer::seal_data).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsealed {
    /// They are read, and encrypted when they are next written: for as long as there may be
    /// sessions from before.
    Accept,
    /// They are [`Undecodable`](crate::Verdict::Undecodable): for new stores, and once all sessions from
    /// before have expired.
    Refuse,
}

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Encrypts the data of sessions before a store sees it, each under a key that comes with the
    /// request: there is no key to keep.
    ///
    /// The key is derived from the half of the session's id that never changes, of which the store
    /// has but a hash. So a dump of the store, or a backup, shows no data. It is
    /// XChaCha20-Poly1305 with a random nonce at each write, which costs 40 bytes a row. Nothing
    /// else changes: neither what a request costs and causes, nor that an unchanged session is not
    /// written.
    ///
    /// A layer reads encrypted rows whether this is set or not, if only the feature `sealed` is
    /// there, and writes as it is set. So to begin: give all machines a program with the feature,
    /// then set this, with [`Unsealed::Accept`]; and after the absolute limit
    /// [`Unsealed::Refuse`]. A program without the feature takes such a row for
    /// [`Undecodable`](crate::Verdict::Undecodable) and keeps it. Nobody but the client can read
    /// the data from then on: no SQL, no administrator, no "what is in the basket of this user".
    ///
    /// # Security
    ///
    /// Encrypted is what the application put into its data. In clear stay the session's times and
    /// limits, the hash of the subject, what is known of the client, the verifiers of the ids, and
    /// how long the data is, to the byte: pad what must not be told by its length.
    ///
    /// Authenticated is more than that: data opens in the row where it was written, under that
    /// row's subject, and with the times, limits and verifiers that it was written with. So who can
    /// write to the store cannot exchange the data of two sessions, move a session's absolute
    /// limit, or change what somebody else's session holds.
    ///
    /// They can still put a row back as it was earlier, data and all; they can remove rows; and in
    /// a session of their own, whose id they know, they can write what they like, because the id is
    /// the key. With [`Unsealed::Accept`] they can also put data in clear into any row. Sealing
    /// hides data from who reads the store; it does not make a store that others write to one to
    /// trust.
    ///
    /// An id that leaks opens the data of its session, in all backups there are. So does one from
    /// before a login, a planted one say, though it logs nobody in any more: the half that is the key
    /// stays the same as long as the session lives. Who holds such an id *and* can write to the store
    /// can also change that session.
    ///
    /// # Example
    ///
    /// ```
    /// use typed_session::store::MemoryStore;
    /// use typed_session::{SessionData, SessionLayer, Unsealed};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Patient { diagnosis: String }
    /// # impl SessionData for Patient {}
    ///
    /// let sessions = SessionLayer::<Patient, _>::new(MemoryStore::new()).seal_data(Unsealed::Refuse);
    /// # futures_executor::block_on(async {
    /// # use typed_session::store::Store;
    /// # let exchange = sessions.open([]);
    /// # let session = exchange.session().await?;
    /// # session.update(|patient| patient.diagnosis = "influenza".to_owned());
    /// # assert!(exchange.finish().await.error.is_none());
    /// # let row = sessions.store().load(&session.key().unwrap()).await?.unwrap();
    /// # assert!(!row.body.windows(9).any(|bytes| bytes == b"influenza"));
    /// # Ok::<(), typed_session::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn seal_data(mut self, unsealed: Unsealed) -> Self {
        self.policy().sealing = Some(unsealed);
        self
    }
}

/// The row that data lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) key: &'a SessionKey,
    pub(crate) subject: Option<&'a Subject>,
}

/// That data is to be encrypted, and what of data that is not.
pub(crate) type Sealing = Unsealed;

pub(crate) const fn accepts_unsealed(sealing: Option<Sealing>) -> bool {
    match sealing {
        None | Some(Unsealed::Accept) => true,
        Some(Unsealed::Refuse) => false,
    }
}

/// Returns the body: its `head`, and after it the data, encrypted.
pub(crate) fn seal(
    _: Sealing,
    place: Place<'_>,
    head: Vec<u8>,
    data: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let (key, about) = (key(place), about(place, &head));
    let mut body = head;
    body.reserve_exact(data.len() + cipher::NONCE + cipher::TAG);
    cipher::seal(&key, &about, data, entropy, &mut body)?;
    Ok(body)
}

/// Returns the data of a body in which it begins at `data_at`, or nothing if it was not written
/// there.
pub(crate) fn open(place: Place<'_>, body: &[u8], data_at: usize) -> Option<Vec<u8>> {
    let (head, sealed) = body.split_at_checked(data_at)?;
    cipher::open(&key(place), &about(place, head), sealed)
}

fn key(place: Place<'_>) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(place.id.derive_stable(&KEY))
}

/// What is authenticated beside the data: where it lies, and all that the library keeps of the
/// session in clear, so that none of it can be exchanged for another's, or for an earlier one of its own.
fn about(place: Place<'_>, head: &[u8]) -> Vec<u8> {
    // Each part but the last says how long it is, or always is as long.
    let mut about = Vec::with_capacity(PURPOSE.len() + 2 * 32 + 1 + head.len());
    about.extend_from_slice(PURPOSE);
    about.extend_from_slice(place.key.as_bytes());
    match place.subject {
        None => about.push(0),
        Some(subject) => {
            about.push(1);
            about.extend_from_slice(subject.as_bytes());
        }
    }
    about.extend_from_slice(head);
    about
}

const PURPOSE: &[u8] = b"typed-session data at rest 1";

/// "typed-session 2026-11-22 data of a session", hashed.
const KEY: ContextKey = [
    0x9b, 0xc7, 0xed, 0x13, 0xf6, 0xdd, 0x54, 0x5b, 0x27, 0x10, 0x36, 0xfe, 0x85, 0x27, 0x51, 0x6c,
    0x09, 0x42, 0x6d, 0x5b, 0x32, 0xd7, 0x02, 0xc5, 0xaf, 0xd0, 0xb9, 0x7a, 0xc2, 0x06, 0xa8, 0x86,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::EntropyError;
    use crate::golden;

    /// The nonces, one byte each.
    struct Nonce(u8);

    impl Entropy for Nonce {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    /// Lines of: id as text, subject, nonce's byte, body before the data, data, whole body.
    const VECTORS: &str = include_str!("../golden/sealed.txt");

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_context_is_what_its_constant_says() {
        let context = "typed-session 2026-11-22 data of a session";
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), KEY);
    }

    #[test]
    fn a_sealed_row_is_read_as_it_was_written() {
        let mut count = 0;
        for vector in golden::vectors(VECTORS) {
            let [id, subject, nonce, head, data, body] = vector[..] else {
                panic!("six values: {vector:?}");
            };
            let id = SessionId::parse(id.as_bytes()).unwrap();
            let subject = (subject != "-").then(|| Subject::from(subject));
            let place = Place { id: &id, key: &id.key(), subject: subject.as_ref() };
            let [head, data, body] = [head, data, body].map(golden::bytes);
            let nonce = Nonce(golden::bytes(nonce)[0]);
            let sealed = seal(Unsealed::Refuse, place, head.clone(), &data, &nonce).unwrap();
            assert_eq!(hex(&sealed), hex(&body), "writes the same bytes");
            assert_eq!(open(place, &body, head.len()), Some(data));
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn data_opens_in_its_place_alone_and_every_bit_of_a_body_counts() {
        let source = crate::entropy::SystemEntropy;
        let id = SessionId::generate(&source).unwrap();
        let (ann, bob) = (Subject::from("ann"), Subject::from("bob"));
        let place = Place { id: &id, key: &id.key(), subject: Some(&ann) };
        let body = seal(Unsealed::Refuse, place, vec![1, 1, 64], b"data", &source).unwrap();
        assert_eq!(open(place, &body, 3).as_deref(), Some(&b"data"[..]));
        // A rotated id is the same session's.
        let rotated = id.with_fresh_secret(&source).unwrap();
        assert!(open(Place { id: &rotated, ..place }, &body, 3).is_some());

        let other = SessionId::generate(&source).unwrap();
        let key = SessionKey::from_bytes([7; 32]);
        for elsewhere in [
            Place { id: &other, ..place },
            Place { key: &key, ..place },
            Place { subject: None, ..place },
            Place { subject: Some(&bob), ..place },
        ] {
            assert_eq!(open(elsewhere, &body, 3), None);
        }
        for at in 0..body.len() * 8 {
            let mut wrong = body.clone();
            wrong[at / 8] ^= 1 << (at % 8);
            assert_eq!(open(place, &wrong, 3), None, "bit {at}");
        }
        for len in 0..body.len() {
            assert_eq!(open(place, &body[..len], 3), None, "{len} bytes");
        }
        assert_eq!(open(place, &body, 2), None, "where the data begins counts too");
        assert_eq!(open(place, &body, usize::MAX), None);
    }

    #[test]
    fn without_randomness_nothing_is_written() {
        struct Broken;
        impl Entropy for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
                Err(EntropyError::new("no randomness"))
            }
        }
        let id = SessionId::generate(&crate::entropy::SystemEntropy).unwrap();
        let place = Place { id: &id, key: &id.key(), subject: None };
        let sealed = seal(Unsealed::Accept, place, vec![1, 1, 64], b"data", &Broken);
        assert!(matches!(sealed, Err(Error::Entropy(_))));
    }

    #[test]
    fn two_of_one_data_are_not_alike() {
        let source = crate::entropy::SystemEntropy;
        let id = SessionId::generate(&source).unwrap();
        let place = Place { id: &id, key: &id.key(), subject: None };
        let [one, two] = [0, 1].map(|_| seal(Unsealed::Accept, place, vec![], b"data", &source));
        assert_ne!(one.unwrap(), two.unwrap());
    }
}
