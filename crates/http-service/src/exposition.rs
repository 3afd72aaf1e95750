//! Checks of `/metrics`, for tests of every service.

use std::collections::BTreeMap;

/// Label of a histogram bucket that holds its upper bound.
const BOUND_LABEL: &str = "le=\"";

/// Buckets of one histogram series in the order of the text, and its `_count`.
#[derive(Debug, Default)]
struct Series {
    buckets: Vec<(f64, u64)>,
    count: Option<u64>,
}

/// Checks every histogram series of an OpenMetrics text: bounds rise to `+Inf`, counts never decrease, and the last count
/// equals `_count`. Returns the number of series.
///
/// # Errors
/// The first series that violates a rule, and the rule. Prometheus computes no quantiles for such a series.
pub fn check_histograms(text: &str) -> Result<usize, String> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line
            .split_once(" # ")
            .map_or(line, |(sample, _exemplar)| sample)
            .rsplit_once(' ')
            .ok_or_else(|| format!("line without a value: {line}"))?;
        let count = || {
            value
                .parse()
                .map_err(|_| format!("{name}: {value} is not a count"))
        };
        let (family, labels) = name.split_once('{').unwrap_or((name, "}"));
        if let Some(family) = family.strip_suffix("_bucket") {
            let (bound, labels) = split_bound(labels).ok_or_else(|| format!("{name}: no bound"))?;
            let series = all.entry(format!("{family}{{{labels}")).or_default();
            series.buckets.push((bound, count()?));
        } else if let Some(family) = family.strip_suffix("_count") {
            all.entry(format!("{family}{{{labels}")).or_default().count = Some(count()?);
        }
    }
    for (name, series) in &all {
        check(series).map_err(|rule| format!("{name}: {rule}"))?;
    }
    Ok(all.len())
}

/// Splits a bucket's labels into the bound and the other labels.
fn split_bound(labels: &str) -> Option<(f64, String)> {
    let (before, rest) = labels.split_once(BOUND_LABEL)?;
    let (bound, after) = rest.split_once('"')?;
    let bound = match bound {
        "+Inf" => f64::INFINITY,
        number => number
            .parse()
            .ok()
            .filter(|bound: &f64| bound.is_finite())?,
    };
    let after = match before {
        "" => after.strip_prefix(',').unwrap_or(after),
        _ => after,
    };
    Some((bound, format!("{before}{after}")))
}

fn check(series: &Series) -> Result<(), String> {
    let (Some(last), Some(count)) = (series.buckets.last(), series.count) else {
        return Err("buckets or _count are missing".to_owned());
    };
    if last.0 != f64::INFINITY {
        return Err(format!("the last bound is {}, not +Inf", last.0));
    }
    if last.1 != count {
        return Err(format!("bucket +Inf has {}, _count is {count}", last.1));
    }
    let rises = |pair: &[(f64, u64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
    match series.buckets.windows(2).find(|pair| !rises(pair)) {
        Some(pair) => Err(format!("buckets do not rise: {pair:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_histogram_is_reported_with_its_rule() {
        for (text, expected) in [
            (
                "h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n",
                Ok(1),
            ),
            (
                "h_bucket{le=\"+Inf\",a=\"b\"} 2\nh_count{a=\"b\"} 2\nc_total 3\n",
                Ok(1),
            ),
            ("# TYPE c counter\nc_total 3\n", Ok(0)),
            (
                "h_bucket{le=\"1.7976931348623157e308\"} 2\nh_count 2\n",
                Err("the last bound is"),
            ),
            ("h_bucket{le=\"+Inf\"} 2\nh_count 3\n", Err("_count is 3")),
            ("h_bucket{le=\"+Inf\"} 2\n", Err("are missing")),
            (
                "h_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n",
                Err("do not rise"),
            ),
        ] {
            match (check_histograms(text), expected) {
                (Ok(series), Ok(wanted)) => assert_eq!(series, wanted, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
