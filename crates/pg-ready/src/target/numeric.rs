//! Addresses in all the ways in which the system's resolver takes them without asking anybody.

use std::net::{IpAddr, Ipv4Addr};

pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| short_ipv4(text).map(IpAddr::V4))
}

/// `inet_aton`: one to four numbers, decimal, octal or hexadecimal, of which the last fills what is left.
fn short_ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, firsts) = numbers.split_last()?;
    let room = 32_u32.checked_sub(8 * u32::try_from(firsts.len()).ok()?)?;
    if room == 0 || u64::from(*last) >= 1 << room || firsts.iter().any(|&number| number > 255) {
        return None;
    }
    let shifts = [24, 16, 8];
    let high = firsts.iter().zip(shifts).map(|(number, by)| number << by);
    Some((high.sum::<u32>() | last).into())
}

fn number(text: &str) -> Option<u32> {
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
