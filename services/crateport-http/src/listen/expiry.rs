//! Reads when a certificate ends (its "not after") from its DER, so that a metric can warn of it in time.
//!
//! It walks to one field of RFC 5280's `Certificate` and judges nothing: rustls and the clients do that. What it cannot
//! read is `None`.

use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The moment after which the certificate is no longer valid.
pub(crate) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    // Certificate { TBSCertificate { [0] version?, serial, signature, issuer, validity { notBefore, notAfter }, … } … }
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    for _serial_signature_issuer in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_not_before, _, validity) = element(validity)?;
    let (tag, time, _) = element(validity)?;
    parse_time(tag, time)
}

/// The content of the first element of `bytes`, if it has this tag, and what follows it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first element of `bytes`: tag, content, and what follows. Lengths have up to four bytes in DER of any real size.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, bytes) = bytes.split_first()?;
    let (first, bytes) = bytes.split_first()?;
    let (length, bytes) = match *first {
        short @ ..=0x7f => (usize::from(short), bytes),
        long @ 0x81..=0x84 => {
            let (length, bytes) = bytes.split_at_checked(usize::from(long - 0x80))?;
            (
                length.iter().try_fold(0_usize, |sum, byte| {
                    sum.checked_mul(256)?.checked_add((*byte).into())
                })?,
                bytes,
            )
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the two forms RFC 5280 section 4.1.2.5 allows.
fn parse_time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = digits(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let mut fields = [0_u64; 5];
    let mut rest = rest;
    for field in &mut fields {
        let (two, more) = rest.split_at_checked(2)?;
        (*field, rest) = (digits(two)?, more);
    }
    let [month, day, hour, minute, second] = fields;
    if !rest.is_empty() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days_since_1970(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days of the Gregorian calendar; a year that starts in March puts the leap day last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // The days from 0000-03-01 to 1970-01-01.
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let table: &[(u8, &str, Option<u64>)] = &[
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "240229120000Z", Some(1_709_208_000)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "691231235959Z", None),
            (UTC_TIME, "2402291200Z", None),
            (UTC_TIME, "24+229120000Z", None),
            (UTC_TIME, "241329120000Z", None),
            (GENERALIZED_TIME, "20500101000000", None),
            (SEQUENCE, "20500101000000Z", None),
        ];
        for (tag, text, expected) in table {
            let time = parse_time(*tag, text.as_bytes());
            assert_eq!(
                time,
                expected.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_real_certificate_ends_when_it_was_made_to_and_no_cut_of_it_misleads() {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_936_742_400);
        assert_eq!(not_after(certificate.der()), Some(expected));
        for length in 0..certificate.der().len() {
            assert_eq!(not_after(&certificate.der()[..length]), None);
        }
    }
}
