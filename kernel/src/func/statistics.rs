//! What a sample of a column says of all its rows (ANALYZE), from the values' texts.

use ahash::AHashMap;

const COMMON_MAX: usize = 100;
const HISTOGRAM_BOUNDS: usize = 101;

/// How texts sort as the values do that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    Int,
    Float,
    Text,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    pub null_frac: f64,
    /// Mean of the texts' bytes.
    pub width: usize,
    /// As pg_statistic has it: a number, or what share of all rows it is, negative.
    pub distinct: f64,
    /// Common values by index into the sample, and what share of all rows each is.
    pub common: Vec<(usize, f64)>,
    /// Bounds of equal parts of the others, by index; none without an ordering.
    pub histogram: Vec<usize>,
}

/// A value of the sample: how often it is there, and where first.
struct Counted<'a> {
    text: &'a str,
    count: usize,
    first: usize,
}

/// Distinct values by the Duj1 estimate (Haas and Stokes), common values, an equi-depth histogram of the others. `rows`: in all.
pub fn summarise(values: &[Option<&str>], rows: f64, ordering: Option<Ordering>) -> Statistics {
    let total = values.len();
    let mut counted = counts(values);
    let n: usize = counted.iter().map(|value| value.count).sum();
    if n == 0 {
        return Statistics {
            null_frac: if total > 0 { 1.0 } else { 0.0 },
            ..Statistics::default()
        };
    }
    let d = counted.len();
    let once = counted.iter().filter(|value| value.count == 1).count();
    let bytes: usize = counted.iter().map(|v| v.text.len() * v.count).sum();
    counted.sort_by_key(|value| std::cmp::Reverse(value.count));
    let average = n as f64 / d as f64;
    let is_common = |value: &&Counted| {
        value.count > 1 && (d <= COMMON_MAX || value.count as f64 > 1.25 * average)
    };
    // They stand in front: the most frequent are what is common.
    let named = counted.iter().take(COMMON_MAX).take_while(is_common);
    let common: Vec<(usize, f64)> = named
        .map(|value| (value.first, value.count as f64 / total as f64))
        .collect();
    let rest = counted.get_mut(common.len()..).unwrap_or_default();
    Statistics {
        null_frac: (total - n) as f64 / total as f64,
        width: bytes / n,
        distinct: distinct(n, d, once, rows * n as f64 / total as f64),
        common,
        histogram: match ordering {
            Some(ordering) if rest.len() >= 2 => histogram(rest, ordering),
            _ => Vec::new(),
        },
    }
}

/// Different values, in the order in which they first come.
fn counts<'a>(values: &[Option<&'a str>]) -> Vec<Counted<'a>> {
    let mut known: AHashMap<&str, usize> = AHashMap::with_capacity(values.len());
    let mut counted: Vec<Counted> = Vec::new();
    for (first, text) in values.iter().enumerate() {
        let Some(text) = *text else { continue };
        let at = *known.entry(text).or_insert(counted.len());
        match counted.get_mut(at) {
            Some(value) => value.count += 1,
            None => counted.push(Counted {
                text,
                count: 1,
                first,
            }),
        }
    }
    counted
}

/// `n` values of which `d` are different and `once` there once, of a column with so many in all.
fn distinct(n: usize, d: usize, once: usize, all: f64) -> f64 {
    let (size, different, single) = (n as f64, d as f64, once as f64);
    let found = if once == n {
        all
    } else if once == 0 || size >= all {
        different
    } else {
        size * different / (size - single + single * size / all)
    };
    match found > 0.1 * all {
        true => -found / all,
        false => found.round_ties_even(),
    }
}

fn histogram(rest: &mut [Counted], ordering: Ordering) -> Vec<usize> {
    match ordering {
        Ordering::Text => rest.sort_unstable_by_key(|value| value.text),
        Ordering::Int => {
            rest.sort_by_cached_key(|value| value.text.parse::<i64>().unwrap_or(i64::MAX));
        }
        Ordering::Float => {
            let mut keyed: Vec<(f64, usize)> = Vec::with_capacity(rest.len());
            for (at, value) in rest.iter().enumerate() {
                keyed.push((value.text.parse().unwrap_or(f64::NAN), at));
            }
            // NaN is above everything, as in PostgreSQL.
            keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let places = keyed.iter().map(|(_, at)| *at);
            return bounds(&places.filter_map(|at| rest.get(at)).collect::<Vec<_>>());
        }
    }
    bounds(&rest.iter().collect::<Vec<_>>())
}

/// Bounds of parts with equally many rows each.
fn bounds(sorted: &[&Counted]) -> Vec<usize> {
    let rows: usize = sorted.iter().map(|value| value.count).sum();
    let wanted = HISTOGRAM_BOUNDS.min(rows);
    let mut out = Vec::with_capacity(wanted);
    let (mut values, mut upto) = (sorted.iter(), 0);
    let mut here = None;
    for bound in 0..wanted {
        let row = bound * (rows - 1) / (wanted - 1);
        while upto <= row {
            here = values.next();
            upto += here.map_or(rows, |value| value.count);
        }
        out.extend(here.map(|value| value.first));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[Option<&str>], rows: usize, ordering: Option<Ordering>) -> Statistics {
        summarise(values, rows as f64, ordering)
    }

    fn texts(numbers: impl Iterator<Item = i64>) -> Vec<String> {
        numbers.map(|n| n.to_string()).collect()
    }

    fn views(texts: &[String]) -> Vec<Option<&str>> {
        texts.iter().map(|text| Some(text.as_str())).collect()
    }

    #[test]
    fn nothing_and_nulls() {
        assert_eq!(of(&[], 0, None), Statistics::default());
        let nulls = of(&[None, None], 2, Some(Ordering::Int));
        assert_eq!((nulls.null_frac, nulls.distinct), (1.0, 0.0));
        let half = of(&[None, Some("ab"), None, Some("abcd")], 4, None);
        assert_eq!((half.null_frac, half.width), (0.5, 3));
    }

    #[test]
    fn a_key_is_all_different_and_has_a_histogram_in_the_order_of_its_type() {
        let texts = texts((0..1000).map(|i| i * 7919 % 1000));
        let found = of(&views(&texts), 50_000, Some(Ordering::Int));
        assert_eq!((found.distinct, found.common.len()), (-1.0, 0));
        let bounds: Vec<i64> = found
            .histogram
            .iter()
            .map(|at| texts[*at].parse().unwrap())
            .collect();
        assert_eq!(bounds.len(), 101);
        assert!(bounds
            .iter()
            .zip(0..)
            .all(|(bound, at)| *bound == at * 999 / 100));
        let found = of(&views(&texts), 50_000, Some(Ordering::Text));
        assert_eq!(
            (&*texts[found.histogram[1]], &*texts[found.histogram[100]]),
            ("106", "999")
        );
        assert!(of(&views(&texts), 50_000, None).histogram.is_empty());
    }

    #[test]
    fn floats_sort_by_value_and_not_a_number_last() {
        let values = ["1e3", "-Infinity", "NaN", "2.5", "Infinity", "-7"].map(Some);
        let found = of(&values, 6, Some(Ordering::Float));
        assert_eq!(found.histogram, [1, 5, 3, 0, 4, 2]);
    }

    #[test]
    fn few_values_are_all_common_and_the_most_frequent_comes_first() {
        let texts = texts((0..1000).map(|i| i % 10 % 4));
        let found = of(&views(&texts), 100_000, Some(Ordering::Int));
        assert_eq!(found.distinct, 4.0);
        let common: Vec<(&str, f64)> = found
            .common
            .iter()
            .map(|(at, share)| (&*texts[*at], *share))
            .collect();
        assert_eq!(common, [("0", 0.3), ("1", 0.3), ("2", 0.2), ("3", 0.2)]);
        assert!(found.histogram.is_empty());
    }

    #[test]
    fn what_is_far_above_the_average_is_common_and_the_histogram_has_the_others() {
        // Half are 0; 250 others twice each.
        let texts = texts((0..1000).map(|i| if i % 2 == 0 { 0 } else { 1 + i / 2 % 250 }));
        let found = of(&views(&texts), 10_000, Some(Ordering::Int));
        assert_eq!(found.common.len(), 1);
        assert_eq!(found.distinct, 251.0);
        let bounds: Vec<i64> = found
            .histogram
            .iter()
            .map(|at| texts[*at].parse().unwrap())
            .collect();
        assert_eq!((bounds[0], bounds[50], bounds[100]), (1, 125, 250));
        // Seen once each they would be more in all.
        let texts = self::texts((0..1000).map(|i| if i % 2 == 0 { 0 } else { i }));
        let found = of(&views(&texts), 10_000, Some(Ordering::Int));
        assert_eq!(found.distinct, 911.0);
    }
}
