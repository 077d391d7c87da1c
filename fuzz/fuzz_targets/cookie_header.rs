//! Our reader of the `Cookie` header against one written for plainness, octet by octet.
//!
//! Input: the looked-up name, a line feed, the header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use typed_session::cookie;

fuzz_target!(|input: &[u8]| {
    let mut halves = input.splitn(2, |&octet| octet == b'\n');
    let (Some(name), Some(header)) = (halves.next(), halves.next()) else {
        return;
    };
    let Ok(name) = std::str::from_utf8(name) else {
        return;
    };

    let pairs = all_pairs(header);
    check(header, name, &pairs);
    // A name that is surely there, and as a browser's header goes, usually ours.
    for (present, _) in pairs.iter().take(4) {
        if let Ok(present) = std::str::from_utf8(present) {
            check(header, present, &pairs);
        }
    }
    // Long headers are read in another way: the same pairs again and again, with a long one between.
    if header.len() < 500 {
        let long = [header, b";", &b"x".repeat(header.len() * 7), b"; "].concat().repeat(6);
        check(&long, name, &all_pairs(&long));
    }
});

fn check(header: &[u8], name: &str, pairs: &[(Vec<u8>, Vec<u8>)]) {
    let found = Vec::from_iter(cookie::values(header, name));
    let expected = Vec::from_iter(
        pairs.iter().filter(|pair| pair.0 == name.as_bytes()).map(|pair| pair.1.as_slice()),
    );
    assert_eq!(found, expected, "name {name:?} in {}", header.escape_ascii());

    // Values are parts of the header itself, in order, and never overlap.
    let mut from = header.as_ptr_range().start;
    for value in found {
        let place = value.as_ptr_range();
        assert!(from <= place.start && place.end <= header.as_ptr_range().end);
        assert!(!value.contains(&b';'));
        from = place.end;
    }
}

/// Every pair with a name, collected in one walk that keeps a state and never looks ahead.
fn all_pairs(header: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut name = Vec::new();
    let mut value = None;
    for &octet in header.iter().chain(b";") {
        match (octet, &mut value) {
            (b';', _) => {
                let (name, value) = (trimmed(std::mem::take(&mut name)), value.take());
                if let Some(value) = value
                    && !name.is_empty()
                {
                    pairs.push((name, trimmed(value)));
                }
            }
            (b'=', None) => value = Some(Vec::new()),
            (_, None) => name.push(octet),
            (_, Some(value)) => value.push(octet),
        }
    }
    pairs
}

fn trimmed(mut octets: Vec<u8>) -> Vec<u8> {
    while [Some(&b' '), Some(&b'\t')].contains(&octets.last()) {
        octets.pop();
    }
    let blank = octets.iter().take_while(|octet| [b' ', b'\t'].contains(octet)).count();
    octets.split_off(blank)
}
