use super::*;
use crate::entropy::SystemEntropy;

const CONTEXTS: [(&str, ContextKey); 2] = [
    ("typed-session 2026-11-22 root of a key", ROOT),
    ("typed-session 2026-11-22 id of a key", NAME),
];

#[test]
fn the_contexts_are_what_their_constants_say() {
    for (context, constant) in CONTEXTS {
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), constant, "{context}");
    }
}

const HEX_A: &str = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
const HEX_B: &str = "a1b0c9d8e7f60514233241506f7e8d9cabbac9d8e7f6051423324150617e8f9d";
const BASE64: &str = "m7Yt0m5JmV6Tq2bqkE3n1v9cQwF0bZl8oXKcR4uUe1A";

fn bytes(hex: &str) -> Vec<u8> {
    crate::golden::bytes(hex)
}

fn ids(ring: &KeyRing) -> Vec<KeyId> {
    ring.key_ids().collect()
}

/// The innermost reason.
fn reason(error: KeyError) -> KeyError {
    match error {
        KeyError::At { error, .. } => reason(*error),
        other => other,
    }
}

#[track_caller]
fn refused(text: &str) -> KeyError {
    let error = KeyRing::from_text(text).unwrap_err();
    for word in text.split([',', '\n']).map(str::trim).filter(|word| word.len() > 3) {
        assert!(!format!("{error} {error:?}").contains(word), "{error:?}");
    }
    reason(error)
}

/// Lines of: key as text, its id.
const VECTORS: &str = include_str!("../golden/keys.txt");

#[test]
fn the_id_of_a_key_never_changes() {
    let mut count = 0;
    for vector in crate::golden::vectors(VECTORS) {
        let [text, id, derived] = vector[..] else { panic!("three values: {vector:?}") };
        let ring = KeyRing::from_text(text).unwrap();
        assert_eq!(ring.keys()[0].id().to_string(), id);
        assert_eq!(ring.keys()[0].derive(&[7; 32]).to_vec(), bytes(derived));
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn the_newest_key_comes_first_and_every_one_is_found() {
    let text = format!("# since May\r\n  {HEX_A}\r\n\r\n#{HEX_B}\n{BASE64} , {HEX_B},\n");
    let ring = KeyRing::from_text(&text).unwrap();
    let [a, b] = [HEX_A, HEX_B].map(|hex| KeyRing::from_bytes(&bytes(hex)).unwrap());
    let c = KeyRing::from_text(BASE64).unwrap();
    assert_eq!(ids(&ring), [ids(&a), ids(&c), ids(&b)].concat());
    assert_eq!(ring.keys()[0].id(), ids(&a)[0]);
    for id in ids(&ring) {
        assert_eq!(ring.find(id).unwrap().id(), id);
    }
    assert!(c.find(ids(&a)[0]).is_none());
    assert_eq!(ring.keys().len(), 3);
    let made = a.and_older(&bytes(HEX_B)).unwrap();
    assert_eq!(ids(&made), [ids(&ring)[0], ids(&ring)[2]]);
}

#[test]
fn the_same_key_twice_is_one_key_however_it_is_written() {
    let base64 = URL_SAFE_NO_PAD.encode(bytes(HEX_A));
    let ring = KeyRing::from_text(&format!("{HEX_A}\n{base64}\n{}", HEX_A.to_uppercase())).unwrap();
    assert_eq!(ids(&ring).len(), 1);
    let ring = ring.and_older(&bytes(HEX_A)).unwrap();
    assert_eq!(ids(&ring).len(), 1);
}

#[test]
fn two_keys_with_one_id_are_an_error() {
    let ring = KeyRing::from_text(HEX_A).unwrap();
    let mut other = Key::new(&bytes(HEX_B)).unwrap();
    other.id = ring.keys()[0].id();
    assert!(matches!(ring.with(other), Err(KeyError::SameId { .. })));
}

#[test]
fn what_is_plainly_no_key_is_refused() {
    let counting: Vec<u8> = (200..=255).chain(0..20).collect();
    let few: Vec<u8> = (0..70).map(|at| [0, 3, 1, 200, 5, 9, 77][at * at % 7]).collect();
    for weak in [&[0; 32][..], &[0xff; 64], &counting, &few, &[1, 2].repeat(40)] {
        assert!(matches!(KeyRing::from_bytes(weak), Err(KeyError::NotRandom)), "{weak:?}");
    }
    for short in [&[][..], &[1], &bytes(HEX_A)[..31]] {
        let error = KeyRing::from_bytes(short).unwrap_err();
        assert!(matches!(error, KeyError::TooShort { octets } if octets == short.len()));
    }
    for text in [HEX_A, "correct horse battery staple, and some more\n"] {
        assert!(matches!(KeyRing::from_bytes(text.as_bytes()), Err(KeyError::Passphrase)));
    }
    assert!(KeyRing::from_bytes(&bytes(HEX_A)).is_ok());
    assert!(matches!(
        KeyRing::from_text(HEX_A).unwrap().and_older(&[0; 32]),
        Err(KeyError::NotRandom)
    ));
}

#[test]
fn text_that_is_no_key_is_refused_and_not_shown() {
    for none in ["", "\n", " \r\n,,\n# only a comment", "#"] {
        assert!(matches!(refused(none), KeyError::NoKey), "{none:?}");
    }
    let padded = format!("{BASE64}=");
    let standard = format!("{}+/", &BASE64[..42]);
    let spare_bits = format!("{}B", &BASE64[..42]);
    let tail = format!("{HEX_A} # mine");
    let inner = format!("{} {}", &HEX_A[..32], &HEX_A[32..]);
    let secrets =
        [&*padded, &*standard, &*spare_bits, &*tail, &*inner, "correct horse", "sch\u{e4}tze"];
    for wrong in secrets {
        assert!(matches!(refused(wrong), KeyError::Encoding), "{wrong:?}");
    }
    assert!(matches!(refused(&HEX_A[..62]), KeyError::TooShort { octets: 31 }));
    assert!(matches!(refused(&"00".repeat(32)), KeyError::NotRandom));
    assert!(matches!(refused(&"A".repeat(43)), KeyError::NotRandom));
    let second = KeyRing::from_text(&format!("{HEX_A}\n{}", &HEX_B[..60])).unwrap_err();
    assert!(second.to_string().starts_with("line 2: a key has 32 bytes or more"), "{second}");
    let many: Vec<_> = (0..17).map(|_| KeyRing::generate_text(&SystemEntropy).unwrap()).collect();
    let lines =
        |count: usize| many[..count].iter().map(|key| format!("{key}\n")).collect::<String>();
    assert_eq!(ids(&KeyRing::from_text(&lines(16)).unwrap()).len(), 16);
    assert!(matches!(refused(&lines(17)), KeyError::TooMany));
}

#[test]
fn a_variable_that_is_missing_is_an_error() {
    let error = KeyRing::from_env("TYPED_SESSION_NO_SUCH_VARIABLE").unwrap_err();
    assert!(matches!(error, KeyError::Unset { .. }));
    // Cargo's own, which holds no key.
    let error = KeyRing::from_env("CARGO_MANIFEST_DIR").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the environment variable `CARGO_MANIFEST_DIR`: line 1: "), "{text}");
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{text}");
}

#[test]
fn a_file_is_read_as_text_and_its_errors_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let unreadable = KeyRing::from_file(&path).unwrap_err();
    assert!(matches!(unreadable, KeyError::Unreadable { .. }), "{unreadable:?}");
    for (content, keys) in [(format!("{HEX_A}\n"), 1), (format!("# a\n{HEX_A}\r\n{HEX_B}"), 2)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(ids(&KeyRing::from_file(&path).unwrap()).len(), keys);
    }
    for (content, expected) in [
        (Vec::new(), "there is no key"),
        (b"\xff\xfe".to_vec(), "hexadecimal"),
        (b"# \n".repeat(30_000), "cannot be read"),
    ] {
        std::fs::write(&path, content).unwrap();
        let text = KeyRing::from_file(&path).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains("keys`"), "{text}");
    }
    assert!(matches!(KeyRing::from_file(folder.path()), Err(KeyError::Unreadable { .. })));
}

#[test]
fn debug_shows_ids_alone() {
    let ring = KeyRing::from_text(HEX_A).unwrap();
    let id = ring.keys()[0].id();
    assert_eq!(format!("{ring:?}"), format!("KeyRing[KeyId({id})]"));
    assert_eq!(format!("{:?}", ring.keys()[0]), format!("Key({id}, ..)"));
}

#[test]
fn each_purpose_has_a_key_of_its_own() {
    let ring = KeyRing::from_text(HEX_A).unwrap();
    let key = &ring.keys()[0];
    assert_ne!(key.derive(&[1; 32]), key.derive(&[2; 32]));
    assert_ne!(key.derive(&[1; 32]).to_vec(), bytes(HEX_A));
    let other = KeyRing::from_text(HEX_B).unwrap();
    assert_ne!(key.derive(&[1; 32]), other.keys()[0].derive(&[1; 32]));
}

#[test]
fn a_longer_key_counts_as_a_whole() {
    let long = [bytes(HEX_A), bytes(HEX_B)].concat();
    let rings = [&long[..], &long[..63], &long[..32]].map(|key| KeyRing::from_bytes(key).unwrap());
    assert_ne!(ids(&rings[0]), ids(&rings[1]));
    assert_ne!(ids(&rings[1]), ids(&rings[2]));
}
