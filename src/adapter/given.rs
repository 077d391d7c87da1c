//! The headers of effects as an adapter takes them: moved, and not copied.

use std::borrow::Cow;

use crate::effects::{CLEAR_SITE_DATA, Effects, Header, Mode, VARY};

/// A header whose name and value can be moved into a response.
pub(super) struct OwnedHeader {
    pub(super) name: Cow<'static, str>,
    pub(super) value: Cow<'static, str>,
    pub(super) mode: Mode,
    pub(super) is_secret: bool,
}

impl From<Header<'static>> for OwnedHeader {
    #[inline]
    fn from(header: Header<'static>) -> Self {
        let Header { name, value, mode, is_secret } = header;
        Self { name: Cow::Borrowed(name), value: Cow::Borrowed(value), mode, is_secret }
    }
}

impl Effects {
    /// Gives its headers away, so that an adapter can move their values and not copy them.
    // Inlined, so that an adapter's match on the names that are known here is none.
    #[inline(always)]
    pub(super) fn give(self, mut take: impl FnMut(OwnedHeader)) {
        let is_no_store = self.is_no_store();
        if let Some(id) = self.id {
            let (mode, value) = (id.mode(), Cow::Owned(id.value));
            take(OwnedHeader { name: id.name, value, mode, is_secret: true });
        }
        if is_no_store {
            take(Header::NO_STORE.into());
        }
        if let Some(value) = self.vary {
            let name = Cow::Borrowed(VARY);
            take(OwnedHeader { name, value, mode: Mode::Append, is_secret: false });
        }
        if let Some(value) = self.clear_site_data {
            take(Header::new(CLEAR_SITE_DATA, value).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::IdHeader;

    #[test]
    fn what_is_given_away_is_what_is_shown() {
        let all = Effects {
            id: Some(IdHeader::set_cookie("session=c2VjcmV0".to_owned())),
            failed: true,
            vary: Some(Cow::Borrowed("Cookie")),
            clear_site_data: Some("\"cache\""),
        };
        let id = || Some(IdHeader::new("x-session", "c2VjcmV0".to_owned()));
        let some = [
            all.clone(),
            Effects { id: id(), ..Effects::NONE },
            Effects { failed: true, ..Effects::NONE },
            Effects { vary: Some("X-Session".to_owned().into()), ..Effects::NONE },
            Effects { clear_site_data: Some("*"), ..Effects::NONE },
            Effects::NONE,
        ];
        for effects in some {
            let mut given = Vec::new();
            effects.clone().give(|header| given.push(header));
            let given = given.iter().map(|OwnedHeader { name, value, mode, is_secret }| Header {
                name,
                value,
                mode: *mode,
                is_secret: *is_secret,
            });
            assert!(effects.headers().eq(given), "{effects:?}");
        }
        assert_eq!(all.headers().count(), 4);
    }
}
