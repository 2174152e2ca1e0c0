//! Numbers as people read them.

use nnc_runtime::Bytes;
use std::time::Duration;

/// `1,625,866`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 layer`, `3 layers`
pub fn plural(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(number))
}

/// `[1, 28, 28]`
pub fn shape(extents: &[usize]) -> String {
    format!("{extents:?}")
}

/// `24.1 MiB`
pub fn bytes(number: usize) -> String {
    Bytes(number as u64).to_string()
}

/// `6.19 GFLOP`
pub fn flop(number: u64) -> String {
    const UNITS: [(&str, f64); 4] = [
        ("TFLOP", 1e12),
        ("GFLOP", 1e9),
        ("MFLOP", 1e6),
        ("kFLOP", 1e3),
    ];
    let number = number as f64;
    match UNITS.iter().find(|(_, size)| number >= *size) {
        Some((unit, size)) => format!("{} {unit}", significant(number / size, 3)),
        None => format!("{number} FLOP"),
    }
}

/// `61.4 ms`, `12.3 s`, `4 min 07 s`
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.9995 {
        return format!("{} ms", milliseconds(time));
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole / 3600 {
        0 => format!("{} min {:02} s", whole / 60, whole % 60),
        hours => format!("{hours} h {:02} min", whole % 3600 / 60),
    }
}

/// A time in milliseconds to three significant digits, for tables: `0.0664`, `61.4`, `1240`.
pub fn milliseconds(time: Duration) -> String {
    significant(time.as_secs_f64() * 1e3, 3)
}

/// A loss or a metric: `0.9912`, `2.303`, `1.2e-7`.
pub fn measure(number: f32) -> String {
    let size = number.abs();
    match () {
        () if !number.is_finite() => number.to_string(),
        () if size != 0.0 && !(1e-3..1e6).contains(&size) => format!("{number:.3e}"),
        () if size < 1.0 => format!("{number:.4}"),
        () => significant(f64::from(number), 4),
    }
}

fn significant(number: f64, digits: i32) -> String {
    let before = match number.abs() {
        size if size >= 1.0 => size.log10().floor() as i32 + 1,
        size if size > 0.0 => size.log10().floor() as i32 + 1,
        _ => 1,
    };
    let after = (digits - before).max(0) as usize;
    format!("{number:.after$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_groups_of_three() {
        let shown = [0, 999, 1000, 1_625_866].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "1,625,866"]);
        assert_eq!(plural(1, "layer"), "1 layer");
        assert_eq!(plural(1200, "layer"), "1,200 layers");
    }

    #[test]
    fn flop_have_three_digits_and_a_unit() {
        let shown = [0, 12, 1234, 203_264, 6_190_000_000, 1_500_000_000_000].map(flop);
        assert_eq!(
            shown,
            [
                "0 FLOP",
                "12 FLOP",
                "1.23 kFLOP",
                "203 kFLOP",
                "6.19 GFLOP",
                "1.50 TFLOP"
            ]
        );
    }

    #[test]
    fn durations_change_their_unit() {
        let shown = [
            0.0,
            0.000_066_4,
            0.0614,
            0.9999,
            12.34,
            59.97,
            247.0,
            7380.0,
        ]
        .map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(
            shown,
            [
                "0.00 ms",
                "0.0664 ms",
                "61.4 ms",
                "1.0 s",
                "12.3 s",
                "1 min 00 s",
                "4 min 07 s",
                "2 h 03 min"
            ]
        );
    }

    #[test]
    fn measures_keep_four_digits() {
        let shown = [0.0, 0.9912, 1.0, 2.302_51, 123.456, 1.2e-7, f32::NAN].map(measure);
        assert_eq!(
            shown,
            [
                "0.0000", "0.9912", "1.000", "2.303", "123.5", "1.200e-7", "NaN"
            ]
        );
    }
}
