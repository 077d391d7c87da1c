//! Who is at the other end: the program and the address that a session was used from.

use std::fmt;
use std::net::IpAddr;

mod session;

/// The program and the address that a session is used from, as far as they are told.
///
/// It is what users know their sessions by on a page of "your devices". Both are the
/// client's own words or the network's, and prove nothing.
///
/// ```
/// use typed_session::ClientInfo;
///
/// let client = ClientInfo::new(b"Mozilla/5.0 (X11; Linux x86_64)").at("192.0.2.7".parse()?);
/// assert_eq!(client.user_agent(), "Mozilla/5.0 (X11; Linux x86_64)");
/// assert_eq!(client.address(), Some("192.0.2.7".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
///
/// # Security
///
/// It is personal data. A layer keeps none of it unless
/// [`client_info`](crate::SessionLayer::client_info) is set, and then in the session's record
/// alone, no longer than the session. `Debug` shows nothing of it. The text has no control
/// characters and is at most [`MAX_USER_AGENT`](Self::MAX_USER_AGENT) bytes long; for HTML
/// it must be escaped like anything else that a client says.
#[derive(Clone, Eq, PartialEq)]
pub struct ClientInfo {
    user_agent: Box<str>,
    address: Option<IpAddr>,
}

impl ClientInfo {
    /// How many bytes of a user agent are kept; the rest is cut off.
    pub const MAX_USER_AGENT: usize = 256;

    /// Makes it of the value of a `User-Agent` field, which may be any bytes.
    ///
    /// What is not UTF-8, and each control character, becomes U+FFFD.
    #[must_use]
    pub fn new(user_agent: impl AsRef<[u8]>) -> Self {
        let bytes = user_agent.as_ref();
        // Each byte is at least one of the text, so what is beyond is cut off anyway.
        let bytes = bytes.get(..Self::MAX_USER_AGENT + 4).unwrap_or(bytes);
        let mut text = String::with_capacity(bytes.len());
        for char in String::from_utf8_lossy(bytes).trim().chars() {
            let char = if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
            if text.len() + char.len_utf8() > Self::MAX_USER_AGENT {
                break;
            }
            text.push(char);
        }
        Self { user_agent: text.into(), address: None }
    }

    /// Sets the address. Of an IPv4 address in the clothes of IPv6 it is the IPv4 address.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.address = Some(address.to_canonical());
        self
    }

    /// Returns the program's name for itself; empty if it gave none.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Returns the address, if it is known.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What a record holds, or nothing if this type would not have made it.
    pub(crate) fn stored(user_agent: &[u8], address: Option<IpAddr>) -> Option<Self> {
        let text = std::str::from_utf8(user_agent).ok()?;
        let fits = text.len() <= Self::MAX_USER_AGENT && !text.contains(char::is_control);
        fits.then(|| Self { user_agent: text.into(), address })
    }

    /// Tells whether `other` is another program, or in another network if that counts.
    fn differs(&self, other: &Self, networks: Networks) -> bool {
        let moved = match (networks, self.address, other.address) {
            (Networks::Compared, Some(ours), Some(theirs)) => network(ours) != network(theirs),
            (Networks::Compared | Networks::Ignored, _, _) => false,
        };
        moved || !same_program(&self.user_agent, &other.user_agent)
    }
}

/// Shows nothing, because it is personal data.
impl fmt::Debug for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientInfo(..)")
    }
}

/// Compares all but the numbers, so that the update of a browser is no other browser.
fn same_program(ours: &str, theirs: &str) -> bool {
    fn name(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(|char| !char.is_ascii_digit() && !matches!(char, '.' | '_'))
    }
    // Where the text was cut off, a longer number has pushed out what is at its end.
    let cut = ClientInfo::MAX_USER_AGENT - 3;
    if ours.len() >= cut || theirs.len() >= cut {
        let (ours, theirs) = (name(ours).collect::<Vec<_>>(), name(theirs).collect::<Vec<_>>());
        // Not so much of it that the rest means nothing.
        ours.len().abs_diff(theirs.len()) <= 16 && ours.iter().zip(&theirs).all(|(a, b)| a == b)
    } else {
        name(ours).eq(name(theirs))
    }
}

/// What providers give to one customer, more or less: /24 of IPv4, /48 of IPv6.
fn network(address: IpAddr) -> (bool, [u8; 6]) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            (false, [a, b, c, 0, 0, 0])
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, ..] = address.octets();
            (true, [a, b, c, d, e, f])
        }
    }
}

/// What a layer keeps of clients, and what a changed one means.
///
/// ```
/// use typed_session::{ClientPolicy, OnClientChange};
///
/// let policy = ClientPolicy::default().on_change(OnClientChange::DemandAuthentication);
/// ```
///
/// By default it is the `User-Agent` alone, and a change is reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientPolicy {
    pub(crate) peer: Peer,
    networks: Networks,
    pub(crate) on_change: OnClientChange,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    Kept,
    Ignored,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Networks {
    Compared,
    Ignored,
}

impl ClientPolicy {
    /// Keeps the address of who is connected, too.
    ///
    /// Not behind a proxy: it is the proxy's then. There the application takes the address
    /// out of a field that its proxy is trusted to write, and calls
    /// [`Session::set_client`](crate::Session::set_client). Neither is it known where the
    /// framework does not tell it, as tower's.
    #[must_use]
    pub const fn peer_address(mut self) -> Self {
        self.peer = Peer::Kept;
        self
    }

    /// Takes a client in another network for a changed one: another /24 of IPv4, or another
    /// /48 of IPv6.
    ///
    /// Phones change networks many times a day; for people at desks it may do.
    #[must_use]
    pub const fn compare_networks(mut self) -> Self {
        self.networks = Networks::Compared;
        self
    }

    /// Sets what happens if a session is used by another client than the one that logged in.
    #[must_use]
    pub const fn on_change(mut self, on_change: OnClientChange) -> Self {
        self.on_change = on_change;
        self
    }

    /// Tells whether the client of a request is another than the one in the record.
    pub(crate) fn differ(&self, recorded: &ClientInfo, shown: &ClientInfo) -> bool {
        recorded.differs(shown, self.networks)
    }
}

impl Default for ClientPolicy {
    fn default() -> Self {
        Self { peer: Peer::Ignored, networks: Networks::Ignored, on_change: OnClientChange::Report }
    }
}

/// What happens if a session is used by another client than the one that logged in.
///
/// # Security
///
/// Never the only defence: who has stolen an id can say the same `User-Agent`. It catches
/// the careless (OWASP Session Management Cheat Sheet, "Binding the Session ID to Other
/// User Properties").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnClientChange {
    /// It is an [`Event::ClientChanged`](crate::Event::ClientChanged), and
    /// [`Session::client_changed`](crate::Session::client_changed) says so.
    Report,
    /// The user must log in again, too, before what asks for fresh authentication: see
    /// [`Session::authentication_demanded`](crate::Session::authentication_demanded).
    DemandAuthentication,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_become_a_short_text_without_control_characters() {
        let long = "ä".repeat(1000);
        let cases: [&[u8]; 8] = [
            b"",
            b"\r\nSet-Cookie: x",
            &[0xff; 1000],
            &[0; 1000],
            long.as_bytes(),
            &long.as_bytes()[1..],
            "a\u{85}b\u{7f}".as_bytes(),
            b" curl/8 ",
        ];
        for bytes in cases {
            let client = ClientInfo::new(bytes);
            let text = client.user_agent();
            assert!(text.len() <= ClientInfo::MAX_USER_AGENT);
            assert!(!text.contains(char::is_control), "{text:?}");
            assert_eq!(ClientInfo::stored(text.as_bytes(), None), Some(client.clone()));
        }
        assert_eq!(ClientInfo::new(long).user_agent().len(), 256);
        assert_eq!(ClientInfo::new(format!("a{}", "ä".repeat(200))).user_agent().len(), 255);
        assert_eq!(ClientInfo::new(b" curl/8 ").user_agent(), "curl/8");
        assert_eq!(ClientInfo::new(b"a\tb\xffc").user_agent(), "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn what_this_type_would_not_have_made_is_not_read() {
        for bytes in [&b"a\nb"[..], &b"\xff"[..], &[b'a'; 257][..]] {
            assert_eq!(ClientInfo::stored(bytes, None), None);
        }
    }

    #[test]
    fn an_update_is_no_change_and_another_browser_is() {
        let policy = ClientPolicy::default();
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:99.0) Gecko/20100101 Firefox/99.0";
        let newer = firefox.replace("99.0", "132.0.1");
        let differ = |a: &str, b: &str| policy.differ(&ClientInfo::new(a), &ClientInfo::new(b));
        assert!(!differ(firefox, firefox));
        assert!(!differ(firefox, &newer));
        assert!(differ(firefox, "curl/8.5.0"));
        assert!(differ(firefox, ""));
        let long = |version: &str| format!("{version}{}", "Browser ".repeat(40));
        assert!(!differ(&long("9"), &long("10")));
        assert!(differ(&long("9"), &"Other ".repeat(60)));
        assert!(differ(&long("9"), "Browser"));
    }

    #[test]
    fn addresses_are_compared_by_network_and_only_if_that_is_asked_for() {
        let at = |address: &str| ClientInfo::new("a").at(address.parse().unwrap());
        let policy = ClientPolicy::default().compare_networks();
        let ignoring = ClientPolicy::default();
        for (ours, theirs, other) in [
            ("192.0.2.1", "192.0.2.200", false),
            ("192.0.2.1", "192.0.3.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:ffff::9", false),
            ("2001:db8:1::1", "2001:db8:2::1", true),
            ("192.0.2.1", "::ffff:192.0.2.9", false),
            ("192.0.2.1", "c000:201::", true),
        ] {
            assert_eq!(policy.differ(&at(ours), &at(theirs)), other, "{ours} {theirs}");
            assert!(!ignoring.differ(&at(ours), &at(theirs)));
        }
        assert!(!policy.differ(&at("192.0.2.1"), &ClientInfo::new("a")), "unknown is no other");
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let client = ClientInfo::new("alice's phone").at(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(format!("{client:?}"), "ClientInfo(..)");
    }
}
