//! The date of `Expires`, in all the forms that browsers read (section 5.1.1).

use crate::Timestamp;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Reads a cookie-date: time, day, month and year in any order, each the first
/// word that looks like one.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|&octet| is_delimiter(octet)) {
        if time.is_none()
            && let Some(found) = hms(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    if year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day < 1 || day > days_in(month, year) {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    Some(Timestamp::from_millis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

fn is_delimiter(octet: u8) -> bool {
    matches!(octet, b'\t' | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E)
}

/// `hh:mm:ss`, each of one or two digits, and then anything but a digit.
fn hms(token: &[u8]) -> Option<(i64, i64, i64)> {
    let mut fields = token.splitn(3, |&octet| octet == b':');
    let mut whole = || {
        let field = fields.next()?;
        field.iter().all(u8::is_ascii_digit).then(|| number(field, 1, 2))?
    };
    let (hour, minute) = (whole()?, whole()?);
    Some((hour, minute, number(fields.next()?, 1, 2)?))
}

/// A number of `min` to `max` digits, and then anything but a digit.
fn number(token: &[u8], min: usize, max: usize) -> Option<i64> {
    let digits = token.iter().take_while(|octet| octet.is_ascii_digit());
    let count = digits.clone().count();
    (min..=max)
        .contains(&count)
        .then(|| digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// 1 to 12, by the first three letters.
fn month_of(token: &[u8]) -> Option<i64> {
    let letters = token.get(..3)?.to_ascii_lowercase();
    (1..).zip(MONTHS).find(|(_, month)| *month == letters).map(|(number, _)| number)
}

fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01, of the Gregorian calendar.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_in(month, year)).sum();
    // 1970-01-01 is day 719 162 of a calendar that begins with day 0 of year 1.
    years + months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_reads(text: &str, expected: &str) {
        let read = parse(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(read.as_deref(), Some(expected), "{text:?}");
    }

    #[test]
    fn a_date_is_read_in_every_form_that_servers_write() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "1994 nov 6 8:49:37",
            "8:49:37 6 NOVEMBER 94",
            "06;Nov\t1994,08:49:37",
            "Sun, 06 Nov 1994 08:49:37 +0500",
            "Sun, 6th Nov 1994AD 08:49:37.123",
            "06 Nov 1994 08:49:37 07 Dec 1995 09:50:38",
        ] {
            assert_reads(text, "1994-11-06T08:49:37Z");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_between_1970_and_2069() {
        assert_reads("01 Jan 70 00:00:00", "1970-01-01T00:00:00Z");
        assert_reads("31 Dec 99 23:59:59", "1999-12-31T23:59:59Z");
        assert_reads("01 Jan 00 00:00:00", "2000-01-01T00:00:00Z");
        assert_reads("01 Jan 69 00:00:00", "2069-01-01T00:00:00Z");
        assert_reads("01 Jan 069 00:00:00", "2069-01-01T00:00:00Z");
    }

    #[test]
    fn the_calendar_is_the_gregorian_one() {
        assert_reads("29 Feb 2000 00:00:00", "2000-02-29T00:00:00Z");
        assert_reads("29 Feb 2024 12:00:00", "2024-02-29T12:00:00Z");
        assert_reads("01 Mar 1900 00:00:00", "1900-03-01T00:00:00Z");
        assert_reads("01 Jan 1601 00:00:00", "1601-01-01T00:00:00Z");
        assert_reads("31 Dec 9999 23:59:59", "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "0",
            "-1",
            "never",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "06 Nov 08:49:37",
            "06 Nov 1994",
            "06 Nov 1994 08:49",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 23:60:00",
            "06 Nov 1994 23:59:60",
            "06 Nov 1994 008:49:37",
            "06 Nov 1994 08:49:370",
            "06 Nov 1994 08x:49:37",
            "006 Nov 1994 08:49:37",
            "00 Nov 1994 08:49:37",
            "31 Nov 1994 08:49:37",
            "32 Dec 1994 08:49:37",
            "29 Feb 1900 08:49:37",
            "06 Nov 1600 08:49:37",
            "06 Nov 19940 08:49:37",
            "06 No 1994 08:49:37",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
