//! Resource quantities: `100m`, `1.5`, `64Mi`, `1e3`.
//!
//! The crate `kube_quantity` does the same, but depends on another version of k8s-openapi than this workspace.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Returns the factor of a suffix as numerator and denominator.
fn suffix_factor(suffix: &str) -> Option<(i128, i128)> {
    const THOUSAND: i128 = 1000;
    const KIBI: i128 = 1024;
    let binary = |power| Some((KIBI.pow(power), 1));
    let decimal = |power| Some((THOUSAND.pow(power), 1));
    match suffix {
        "n" => Some((1, THOUSAND.pow(3))),
        "u" => Some((1, THOUSAND.pow(2))),
        "m" => Some((1, THOUSAND)),
        "" => Some((1, 1)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent_factor(suffix.strip_prefix(['e', 'E'])?),
    }
}

/// Returns the factor of a decimal exponent from -18 to 18, the range of a quantity in 64 bits.
fn exponent_factor(digits: &str) -> Option<(i128, i128)> {
    let power: i32 = digits.parse().ok()?;
    let ten = |power: u32| (power <= 18).then(|| 10_i128.pow(power));
    if power < 0 {
        Some((1, ten(power.unsigned_abs())?))
    } else {
        Some((ten(power.unsigned_abs())?, 1))
    }
}

/// Returns the quantity in thousandths, rounded up (upstream's `MilliValue`); `None` if it is invalid or negative.
pub fn milli_value(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.strip_prefix('+').unwrap_or(&quantity.0);
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    // Longer numbers may overflow, and exceed every resource of a host.
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let digits: i128 = digits.parse().ok()?;
    let (numerator, denominator) = suffix_factor(suffix)?;
    let denominator = denominator * 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let numerator = digits.checked_mul(numerator)?.checked_mul(1000)?;
    Some((numerator + denominator - 1) / denominator)
}

/// Returns the quantity in whole units, rounded up (upstream's `Value`).
pub fn value(quantity: &Quantity) -> Option<i128> {
    Some((milli_value(quantity)? + 999) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i128>) {
        assert_eq!(milli_value(&Quantity(text.to_owned())), expected, "{text}");
    }

    #[test]
    fn quantities_are_a_number_and_a_suffix() {
        check("0", Some(0));
        check("1", Some(1000));
        check("+2", Some(2000));
        check("100m", Some(100));
        check("1.5", Some(1500));
        check(".5", Some(500));
        check("5.", Some(5000));
        check("2k", Some(2_000_000));
        check("3M", Some(3_000_000_000));
        check("4G", Some(4_000_000_000_000));
        check("5T", Some(5_000_000_000_000_000));
        check("6P", Some(6_000_000_000_000_000_000));
        check("1Ki", Some(1_024_000));
        check("3Mi", Some(3_145_728_000));
        check("1.5Gi", Some(1_610_612_736_000));
        check("2Ti", Some(2_199_023_255_552_000));
        check("2Pi", Some(2_251_799_813_685_248_000));
        check("1e0", Some(1000));
        check("1e3", Some(1_000_000));
        check("15E-1", Some(1500));
        check("2E", Some(2_000_000_000_000_000_000_000));
        check("8Ei", Some(9_223_372_036_854_775_808_000));
    }

    #[test]
    fn fractions_of_a_thousandth_are_rounded_up() {
        check("1n", Some(1));
        check("1500u", Some(2));
        check("0.0001", Some(1));
        assert_eq!(value(&Quantity("1001m".to_owned())), Some(2));
        assert_eq!(value(&Quantity("2".to_owned())), Some(2));
    }

    #[test]
    fn invalid_quantities_have_no_value() {
        for text in [
            "",
            ".",
            "m",
            "-1",
            "1x",
            "1 Gi",
            "1.2.3",
            "1e",
            "1e99",
            "9999999999999999999",
        ] {
            check(text, None);
        }
    }
}
