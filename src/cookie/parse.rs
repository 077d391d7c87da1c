use std::{fmt, iter::FusedIterator};

use memchr::{memchr, memmem::Finder, memrchr};

/// Yields every value under the name in one `Cookie` header field, in order and as it came.
///
/// A request can have several such fields; call this for each. It takes any bytes, cannot fail,
/// allocates nothing, and one malformed cookie never hides its neighbours.
///
/// The header's grammar is section 4.2.1 of RFC 6265bis. What does not fit it is read as a browser
/// reads a `Set-Cookie` (section 5.6): every `;` ends a pair, quotes or not; the first `=` ends the
/// name; spaces and tabs around either are dropped, and no other white space; names are compared
/// octet for octet. A pair without `=` or without a name matches nothing, and neither does an empty
/// `name`.
///
/// # Security
///
/// - More than one value means that another host or path has set a cookie of this name, by accident
///   or to plant a session. Order proves nothing (section 4.2.2), so try each, and cap the tries.
/// - Nothing is decoded or unquoted: `%5F%5FHost-id` and `"__Host-id"` are other names than
///   `__Host-id`. A prefix is a promise of the browser, and decoding would let a neighbour forge
///   it.
/// - The values are the client's word. The iterator's `Debug` does not show them.
///
/// # Example
///
/// ```
/// use typed_session::cookie;
///
/// let header = b"theme=dark; id=planted; lang=\"de; id=real";
/// let ids: Vec<&[u8]> = cookie::values(header, "id").collect();
/// assert_eq!(ids, [b"planted".as_slice(), b"real"]);
/// ```
///
/// Several fields:
///
/// ```
/// # use typed_session::cookie;
/// let fields: [&[u8]; 2] = [b"id=1; theme=dark", b"id=2"];
/// let ids = fields.into_iter().flat_map(|field| cookie::values(field, "id"));
/// assert!(ids.eq([b"1", b"2"]));
/// ```
pub fn values<'h, 'n>(header: &'h [u8], name: &'n str) -> Values<'h, 'n> {
    let rest = if is_ever_found(name.as_bytes()) { header } else { &[] };
    Values { rest, name, finder: None }
}

/// The iterator of [`values`].
#[derive(Clone)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Values<'h, 'n> {
    /// From the beginning of a pair on.
    rest: &'h [u8],
    // Invariant: `is_ever_found`, or `rest` is empty.
    name: &'n str,
    /// Made once, when there is enough to search.
    finder: Option<Finder<'n>>,
}

impl<'h> Iterator for Values<'h, '_> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        while !self.rest.is_empty() {
            let pair;
            (pair, self.rest) = split_pair(self.rest);
            if let Some(value) = value_under(self.name.as_bytes(), pair) {
                return Some(value);
            }
            if pair.len() < SHORT && self.rest.len() >= MANY && !self.is_next() {
                self.skip_others();
            }
        }
        None
    }
}

impl Values<'_, '_> {
    /// Whether the next pair is seen to begin with the name, as browsers write it.
    fn is_next(&self) -> bool {
        let rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
        rest.starts_with(self.name.as_bytes())
    }

    /// Skips pairs that do not begin with the name.
    ///
    /// It searches for the name and does not tell one pair from the next, so that thousands of short
    /// ones cost what a search through their octets costs. It goes by pieces, because through long
    /// ones the search for their end is four times as fast.
    fn skip_others(&mut self) {
        let finder = self.finder.get_or_insert_with(|| Finder::new(self.name));
        loop {
            let piece = &self.rest[..self.rest.len().min(PIECE)];
            if let Some(at) = finder.find(piece) {
                let before = trim_end(&piece[..at]);
                self.rest = &self.rest[at..];
                if !matches!(before, [] | [.., b';']) {
                    // It is somewhere within another pair, which has no second beginning.
                    (_, self.rest) = split_pair(self.rest);
                }
                return;
            }
            if piece.len() == self.rest.len() {
                self.rest = &[];
                return;
            }
            // Where there is none, the pair is a long one.
            let Some(at) = memrchr(b';', piece) else { return };
            self.rest = &self.rest[at + 1..];
        }
    }
}

impl FusedIterator for Values<'_, '_> {}

impl fmt::Debug for Values<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether any pair's name is this one: none is empty, has a `=` in it, or begins or ends blank.
fn is_ever_found(name: &[u8]) -> bool {
    !name.is_empty() && trim(name).len() == name.len() && memchr(b'=', name).is_none()
}

/// The value, if the pair's name is exactly this one, which [is ever found](is_ever_found).
fn value_under<'h>(name: &[u8], pair: &'h [u8]) -> Option<&'h [u8]> {
    let behind = trim_start(pair).strip_prefix(name)?;
    trim_start(behind).strip_prefix(b"=").map(trim)
}

/// The header up to its first `;`, and what follows that.
fn split_pair(header: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b';', header) {
        Some(at) => (&header[..at], &header[at + 1..]),
        None => (header, &[]),
    }
}

/// A pair of so many octets is not worth a look of its own, where many follow.
const SHORT: usize = 128;

/// So many octets are many.
const MANY: usize = 256;

/// How far the search for the name goes at a time.
const PIECE: usize = 1024;

/// Without the spaces and tabs around it: optional white space, in HTTP's words.
pub(crate) fn trim(octets: &[u8]) -> &[u8] {
    trim_end(trim_start(octets))
}

fn trim_start(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|octet| !is_blank(*octet)).unwrap_or(octets.len());
    &octets[start..]
}

fn trim_end(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|octet| !is_blank(*octet)).map_or(0, |last| last + 1);
    &octets[..end]
}

const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}
