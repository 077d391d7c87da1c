use super::*;
use crate::entropy::SystemEntropy;
use crate::golden;

fn ring(hex: char) -> KeyRing {
    // Not random, and different enough.
    let text: String =
        (0..64).map(|at| if at % 7 == 0 { hex } else { DIGITS[at * at % 16] }).collect();
    KeyRing::from_text(&text).unwrap()
}

const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

const COOKIE: Scope<'static> = Scope { kind: Kind::Cookie, name: "__Host-session" };

fn scope<'a>(kind: &str, name: &'a str) -> Scope<'a> {
    match kind {
        "c" => Scope { kind: Kind::Cookie, name },
        "h" => Scope { kind: Kind::Header, name },
        other => panic!("{other}"),
    }
}

fn id() -> SessionId {
    SessionId::generate(&SystemEntropy).unwrap()
}

fn text(form: &IdForm, id: &SessionId, scope: Scope<'_>) -> String {
    let salt = form.salt(&SystemEntropy).unwrap();
    form.with_text(id, &salt, scope, str::to_owned)
}

fn read(form: &IdForm, text: &str, scope: Scope<'_>) -> Read {
    form.read(text.as_bytes(), scope)
}

#[track_caller]
fn is_id(read: Read, id: &SessionId, age: Age) {
    match read {
        Read::Id(found, found_age) => {
            assert!(found == *id, "another id");
            assert_eq!(found_age, age);
        }
        other => panic!("{other:?}"),
    }
}

/// A form by its name, what makes it, and the length of its texts.
type Guarded = (&'static str, fn(KeyRing) -> IdForm, usize);

/// The forms that need a key.
fn guarded() -> Vec<Guarded> {
    vec![
        ("signed", IdForm::signed, 72),
        #[cfg(feature = "sealed")]
        ("private", IdForm::private, 104),
    ]
}

#[test]
fn the_contexts_are_what_their_constants_say() {
    let contexts = [
        ("typed-session 2026-11-22 signature of an id", signed::SIGNATURE),
        #[cfg(feature = "sealed")]
        ("typed-session 2026-11-22 encryption of an id", private::ENCRYPTION),
    ];
    for (context, constant) in contexts {
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), constant, "{context}");
    }
}

/// Lines of: key, kind of transport, its name, id, signed id.
const SIGNED: &str = include_str!("../golden/signed_ids.txt");

#[test]
fn a_signed_id_never_changes() {
    let mut count = 0;
    for vector in golden::vectors(SIGNED) {
        let [key, kind, name, id, expected] = vector[..] else { panic!("{vector:?}") };
        let form = IdForm::signed(KeyRing::from_text(key).unwrap());
        let id = SessionId::parse(id.as_bytes()).unwrap();
        assert_eq!(text(&form, &id, scope(kind, name)), expected);
        is_id(read(&form, expected, scope(kind, name)), &id, Age::Current);
        count += 1;
    }
    assert_eq!(count, 8);
}

/// Lines of: key, kind of transport, its name, id, nonce, private id.
#[cfg(feature = "sealed")]
const PRIVATE: &str = include_str!("../golden/private_ids.txt");

#[cfg(feature = "sealed")]
#[test]
fn a_private_id_never_changes() {
    let mut count = 0;
    for vector in golden::vectors(PRIVATE) {
        let [key, kind, name, id, nonce, expected] = vector[..] else { panic!("{vector:?}") };
        let form = IdForm::private(KeyRing::from_text(key).unwrap());
        let id = SessionId::parse(id.as_bytes()).unwrap();
        let salt = Salt(golden::bytes(nonce).try_into().unwrap());
        form.with_text(&id, &salt, scope(kind, name), |text| assert_eq!(text, expected));
        is_id(read(&form, expected, scope(kind, name)), &id, Age::Current);
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn a_text_is_as_long_as_its_form_says_and_has_one_spelling() {
    for (name, form, len) in guarded() {
        let form = form(ring('a'));
        let id = id();
        let good = text(&form, &id, COOKIE);
        assert_eq!(good.len(), len, "{name}");
        assert!(good.len() <= LONGEST_TEXT);
        is_id(read(&form, &good, COOKIE), &id, Age::Current);
        for at in 0..len {
            for octet in 0..=255u8 {
                let mut bytes = good.clone().into_bytes();
                if bytes[at] == octet {
                    continue;
                }
                bytes[at] = octet;
                let read = form.read(&bytes, COOKIE);
                assert!(!matches!(read, Read::Id(..)), "{name}: octet {at} as {octet}");
            }
        }
        for cut in 0..len {
            assert!(!matches!(read(&form, &good[..cut], COOKIE), Read::Id(..)), "{name}");
        }
        for longer in
            [format!("{good}A"), format!("{good}="), format!("{good}AAAA"), format!(" {good}")]
        {
            assert!(matches!(read(&form, &longer, COOKIE), Read::Malformed), "{name}: {longer}");
        }
    }
}

#[test]
fn each_single_bit_counts() {
    for (name, form, _) in guarded() {
        let form = form(ring('a'));
        let good = URL_SAFE_NO_PAD.decode(text(&form, &id(), COOKIE)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = read(&form, &URL_SAFE_NO_PAD.encode(bytes), COOKIE);
            assert!(matches!(read, Read::Unverified), "{name}: bit {bit}: {read:?}");
        }
    }
}

#[test]
fn a_text_is_good_for_its_own_cookie_or_header_alone() {
    let places = [
        COOKIE,
        scope("c", "__Host-session2"),
        scope("c", "__Host-sessio"),
        scope("c", "x-session"),
        scope("h", "x-session"),
        scope("h", "authorization"),
    ];
    for (name, form, _) in guarded() {
        let form = form(ring('a'));
        let id = id();
        for (here, place) in places.iter().enumerate() {
            let text = text(&form, &id, *place);
            for (there, other) in places.iter().enumerate() {
                match read(&form, &text, *other) {
                    Read::Id(..) => assert_eq!(here, there, "{name}"),
                    Read::Unverified => assert_ne!(here, there, "{name}"),
                    Read::Malformed => panic!("{name}"),
                }
            }
        }
    }
}

#[test]
fn all_keys_of_the_ring_are_accepted_and_the_newest_writes() {
    let both = |new: char, old: char| {
        let digits = |hex| {
            let text: String =
                (0..64).map(|at| if at % 7 == 0 { hex } else { DIGITS[at * at % 16] }).collect();
            text
        };
        KeyRing::from_text(&format!("{}\n{}", digits(new), digits(old))).unwrap()
    };
    for (name, form, _) in guarded() {
        let id = id();
        let old = text(&form(ring('a')), &id, COOKIE);
        is_id(read(&form(both('b', 'a')), &old, COOKIE), &id, Age::Old);
        is_id(read(&form(both('a', 'b')), &old, COOKIE), &id, Age::Current);
        assert!(matches!(read(&form(ring('b')), &old, COOKIE), Read::Unverified), "{name}");
        let new = text(&form(both('b', 'a')), &id, COOKIE);
        is_id(read(&form(ring('b')), &new, COOKIE), &id, Age::Current);
        // The other key's name on it.
        let (old, new) =
            (URL_SAFE_NO_PAD.decode(old).unwrap(), URL_SAFE_NO_PAD.decode(new).unwrap());
        let name_at = if name == "signed" { 32..38 } else { 0..6 };
        let mut swapped = old;
        swapped[name_at.clone()].copy_from_slice(&new[name_at]);
        let swapped = URL_SAFE_NO_PAD.encode(swapped);
        assert!(
            matches!(read(&form(both('b', 'a')), &swapped, COOKIE), Read::Unverified),
            "{name}"
        );
    }
}

#[test]
fn an_id_as_it_is_passes_only_where_it_is_accepted() {
    let id = id();
    let bare = id.with_text(str::to_owned);
    for (name, form, _) in guarded() {
        assert!(matches!(read(&form(ring('a')), &bare, COOKIE), Read::Unverified), "{name}");
        let introduced = form(ring('a')).also_accept(IdForm::unsigned());
        is_id(read(&introduced, &bare, COOKIE), &id, Age::Old);
        let written = text(&form(ring('a')), &id, COOKIE);
        is_id(read(&introduced, &written, COOKIE), &id, Age::Current);
        // And back.
        let given_up = IdForm::unsigned().also_accept(form(ring('a')));
        is_id(read(&given_up, &written, COOKIE), &id, Age::Old);
        is_id(read(&given_up, &bare, COOKIE), &id, Age::Current);
        assert!(matches!(read(&IdForm::unsigned(), &written, COOKIE), Read::Malformed), "{name}");
    }
}

#[cfg(feature = "sealed")]
#[test]
fn a_private_id_looks_different_each_time_and_never_like_the_id() {
    let form = IdForm::private(ring('a'));
    let id = id();
    let texts = [(), ()].map(|()| text(&form, &id, COOKIE));
    assert_ne!(texts[0], texts[1]);
    let bytes = id.bytes();
    for text in texts {
        let sealed = URL_SAFE_NO_PAD.decode(text).unwrap();
        assert!(!sealed.windows(4).any(|window| bytes.windows(4).any(|part| part == window)));
    }
}

#[cfg(feature = "sealed")]
#[test]
fn a_signature_is_no_encryption_and_the_other_way_round() {
    let id = id();
    let [signed, private] = [IdForm::signed(ring('a')), IdForm::private(ring('a'))];
    assert!(matches!(read(&signed, &text(&private, &id, COOKIE), COOKIE), Read::Malformed));
    assert!(matches!(read(&private, &text(&signed, &id, COOKIE), COOKIE), Read::Malformed));
    let both = private.also_accept(signed.clone());
    is_id(read(&both, &text(&signed, &id, COOKIE), COOKIE), &id, Age::Old);
}

#[test]
fn debug_shows_ids_of_keys_alone() {
    for (_, form, _) in guarded() {
        let ring = ring('a');
        let key_id = ring.key_ids().next().unwrap().to_string();
        let shown = format!("{:?}", form(ring));
        assert!(shown.contains(&key_id) && shown.len() < 80, "{shown}");
    }
}
