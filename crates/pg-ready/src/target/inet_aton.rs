//! Numeric addresses in every form that `getaddrinfo` accepts with `AI_NUMERICHOST`.

use std::net::{IpAddr, Ipv4Addr};

pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| parse_inet_aton(text).map(IpAddr::V4))
}

/// Parses one to four decimal, octal or hexadecimal numbers; the last one fills the remaining bytes.
fn parse_inet_aton(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').map(parse_number).collect::<Option<_>>()?;
    let (last, firsts) = numbers.split_last()?;
    let last_bits = 32_u32.checked_sub(8 * u32::try_from(firsts.len()).ok()?)?;
    if last_bits == 0
        || u64::from(*last) >= 1 << last_bits
        || firsts.iter().any(|&number| number > 255)
    {
        return None;
    }
    let shifts = [24, 16, 8];
    let high = firsts
        .iter()
        .zip(shifts)
        .map(|(number, shift)| number << shift);
    Some((high.sum::<u32>() | last).into())
}

fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix('0') {
        None | Some("") => (text, 10),
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (rest, 8),
        },
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests;
