//! Numbers as people read them.

use std::{fmt, time::Duration};

use jiff::SignedDuration;

/// A duration with three digits and the unit that fits: `820 µs`, `1.25 s`, `12 s`, `3 min 20 s`.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds >= 100.0 {
            let whole = self.0.as_secs();
            return match (whole / 3600, whole / 60 % 60, whole % 60) {
                (0, minutes, seconds) => write!(f, "{minutes} min {seconds} s"),
                (hours, minutes, _) => write!(f, "{hours} h {minutes} min"),
            };
        }
        let (value, unit) = match seconds {
            s if s >= 1.0 => (s, "s"),
            s if s >= 1e-3 => (s * 1e3, "ms"),
            s if s >= 1e-6 => (s * 1e6, "µs"),
            s => (s * 1e9, "ns"),
        };
        write!(f, "{} {unit}", three_digits(value))
    }
}

/// An error and what caused it, in one line.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A count with separators: `10,000`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Bytes with three digits and a decimal unit: `148 kB`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1000 => return write!(f, "{} B", self.0),
            1000..1_000_000 => (value / 1e3, "kB"),
            1_000_000..1_000_000_000 => (value / 1e6, "MB"),
            _ => (value / 1e9, "GB"),
        };
        write!(f, "{} {unit}", three_digits(value))
    }
}

/// Things in a second: `1.2 M/s`, `850 k/s`; a dash where no time was measured.
#[derive(Clone, Copy, Debug)]
pub struct PerSecond(pub u64, pub Duration);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_zero() {
            return f.write_str("–");
        }
        let rate = self.0 as f64 / self.1.as_secs_f64();
        match rate {
            r if r >= 1e6 => write!(f, "{} M/s", three_digits(r / 1e6)),
            r if r >= 1e3 => write!(f, "{} k/s", three_digits(r / 1e3)),
            r => write!(f, "{}/s", three_digits(r)),
        }
    }
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// Reads a duration as users write it: `5s`, `100ms`, `1m30s`, `2h`, `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "expected a duration such as 100ms, 5s or 1m30s".to_owned())
}

/// Reads a positive size as users write it: `900kB`, `1MiB`, `65536`.
pub fn parse_bytes(text: &str) -> Result<std::num::NonZeroUsize, String> {
    let expected = || "expected a size such as 64kB, 1MB or 65536".to_owned();
    let size: bytesize::ByteSize = text.parse().map_err(|_| expected())?;
    usize::try_from(size.as_u64()).ok().and_then(std::num::NonZeroUsize::new).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let seconds = |s: f64| Seconds(Duration::from_secs_f64(s)).to_string();
        assert_eq!(seconds(0.000_82), "820 µs");
        assert_eq!(seconds(1.25), "1.25 s");
        assert_eq!(seconds(12.0), "12.0 s");
        assert_eq!(seconds(200.0), "3 min 20 s");
        assert_eq!(seconds(7_300.0), "2 h 1 min");
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
        assert_eq!(Count(100).to_string(), "100");
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(148_200).to_string(), "148 kB");
        assert_eq!(PerSecond(10_000, Duration::from_millis(10)).to_string(), "1.00 M/s");
        assert_eq!(PerSecond(1, Duration::ZERO).to_string(), "–");
    }

    #[test]
    fn durations_and_sizes_are_read_as_users_write_them() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("100us"), Ok(Duration::from_micros(100)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_bytes("64kB").unwrap().get(), 64_000);
        assert_eq!(parse_bytes("1MiB").unwrap().get(), 1 << 20);
        for wrong in ["", "5", "-5s", "s", "1e400s", "٣s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "-1", "MB", "1e99"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
