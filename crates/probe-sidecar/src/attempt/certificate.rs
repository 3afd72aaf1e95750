//! Expiry of server certificates: recorded during the handshake, for a metric and for `minDaysLeft`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// End of the validity of the certificate that the server presented last, as a Unix time in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Expiry(Arc<AtomicI64>);

/// Value of a certificate that was not seen yet.
const UNKNOWN: i64 = i64::MIN;

impl Default for Expiry {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl Expiry {
    pub(crate) fn seconds(&self) -> Option<i64> {
        let seconds = self.0.load(Ordering::Relaxed);
        (seconds != UNKNOWN).then_some(seconds)
    }

    /// Returns the number of complete days until the end of the validity; negative after it.
    pub(super) fn days_left(&self, now: Timestamp) -> Option<i64> {
        const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
        let left = self.seconds()?.saturating_sub(now.as_second());
        Some(left.div_euclid(SECONDS_PER_DAY))
    }
}

/// Verifies like another verifier, and records the expiry of the certificate, valid or not.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) expiry: Expiry,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let not_after = not_after(end_entity).map_or(UNKNOWN, Timestamp::as_second);
        self.expiry.0.store(not_after, Ordering::Relaxed);
        self.verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Reads `tbsCertificate.validity.notAfter` (RFC 5280, 4.1).
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate)?;
    if let (EXPLICIT_VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Splits the first DER element: tag, content, rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let shift =
                |length: usize, byte: &u8| length.checked_mul(256)?.checked_add((*byte).into());
            (bytes.iter().try_fold(0, shift)?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Parses a time of a certificate: `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let text = match tag {
        // Years from 50 belong to the last century (RFC 5280, 4.1.2.5.1).
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse().ok()?;
    let date = Date::new(year, number(4..6)?, number(6..8)?).ok()?;
    let time = Time::new(number(8..10)?, number(10..12)?, number(12..14)?, 0).ok()?;
    let time = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    Some(time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_the_validity_is_read_from_a_certificate() {
        for (year, month, day) in [(2049, 12, 31), (2050, 1, 1), (1999, 2, 3), (2026, 11, 28)] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["h".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(1990, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let certificate = params.self_signed(&key).unwrap();
            let expected = params.not_after.unix_timestamp();
            let found = not_after(certificate.der()).unwrap();
            assert_eq!(found.as_second(), expected, "{year}");
        }
    }

    #[test]
    fn truncated_certificate_has_no_expiry() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["h".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der();
        for length in 0..der.len() {
            assert_eq!(not_after(&der[..length]), None, "{length}");
        }
    }

    #[test]
    fn days_left_are_complete_days() {
        let expiry = Expiry::default();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(expiry.days_left(now), None);
        for (seconds, days) in [(86_400, 1), (86_399, 0), (0, 0), (-1, -1)] {
            expiry.0.store(seconds, Ordering::Relaxed);
            assert_eq!(expiry.days_left(now), Some(days), "{seconds}");
        }
    }
}
