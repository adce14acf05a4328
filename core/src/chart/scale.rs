use super::{Mark, Scale};

/// An axis whose range is known: values to places between two ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    scale: Scale,
    /// Of values, or of their logarithms.
    low: f64,
    high: f64,
    /// Between values of a linear axis.
    step: f64,
    /// Where `low` and `high` are.
    ends: (f64, f64),
}

impl Fitted {
    /// An axis that has room for all values that have a place on it.
    pub(super) fn new(scale: Scale, values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Self {
        let values = values.filter(|&value| has_place(scale, value));
        let (mut low, mut high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let mut step = 1.0;
        match scale {
            Scale::Linear => {
                low = low.min(0.0);
                high = if high > low { high } else { low + 1.0 };
                step = step_of(high - low);
                high = (high / step).ceil() * step;
                low = (low / step).floor() * step;
            }
            Scale::Log => {
                // A little air at both ends, and a range even for one value.
                (low, high) = (low.log10(), high.log10());
                let air = ((high - low) * 0.06).max(0.08);
                (low, high) = (low - air, high + air);
            }
        }
        Self { scale, low, high, step, ends }
    }

    /// Where a value is.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        };
        let part = (value - self.low) / (self.high - self.low);
        self.ends.0 + part * (self.ends.1 - self.ends.0)
    }

    /// Round values along the axis, with what to write there.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let values: Vec<f64> = match self.scale {
            Scale::Linear => {
                let n = ((self.high - self.low) / self.step).round() as usize;
                (0..=n).map(|i| self.low + self.step * i as f64).collect()
            }
            Scale::Log => {
                let steps: &[f64] = match self.high - self.low {
                    decades if decades > 4.0 => &[1.0],
                    decades if decades > 0.7 => &[1.0, 2.0, 5.0],
                    _ => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
                };
                let decades = (self.low.floor() as i32)..=(self.high.ceil() as i32);
                let values =
                    decades.flat_map(|d| steps.iter().map(move |step| step * 10_f64.powi(d)));
                values.filter(|v| (self.low..=self.high).contains(&v.log10())).collect()
            }
        };
        values.into_iter().map(|value| (value, short(value))).collect()
    }
}

/// Whether a value can be drawn.
pub(super) fn has_place(scale: Scale, value: f64) -> bool {
    value.is_finite() && (scale == Scale::Linear || value > 0.0)
}

/// Whether a mark can be drawn.
pub(super) fn is_drawn(mark: &Mark, x: Scale, y: Scale) -> bool {
    has_place(x, mark.x) && has_place(y, mark.y)
}

/// 1, 2 or 5 times a power of ten: about five of them in `range`.
fn step_of(range: f64) -> f64 {
    let rough = range / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = match rough / power {
        ratio if ratio <= 1.0 => 1.0,
        ratio if ratio <= 2.0 => 2.0,
        ratio if ratio <= 5.0 => 5.0,
        _ => 10.0,
    };
    step * power
}

/// A round number in few characters: `20k`, `1.5M`, `0.05`.
fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // Steps add up to numbers such as 0.30000000000000004.
    let text = format!("{value:.6}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale, values: &[f64]) -> Vec<String> {
        let fitted = Fitted::new(scale, values.iter().copied(), (0.0, 100.0));
        let ticks = fitted.ticks();
        assert!(
            ticks.iter().all(|(value, _)| (-1e-6..=100.0 + 1e-6).contains(&fitted.place(*value)))
        );
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(Scale::Linear, &[3.0, 47.0]), ["0", "10", "20", "30", "40", "50"]);
        assert_eq!(ticks(Scale::Linear, &[0.07, 0.29]), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(ticks(Scale::Linear, &[-5.0, 5.0]), ["-6", "-4", "-2", "0", "2", "4", "6"]);
        assert_eq!(
            ticks(Scale::Log, &[100.0, 50_000.0]).join(" "),
            "100 200 500 1k 2k 5k 10k 20k 50k"
        );
        assert_eq!(ticks(Scale::Log, &[1.0, 1e6]).len(), 7);
        assert!(ticks(Scale::Log, &[20.0, 25.0]).len() >= 2);
    }

    #[test]
    fn nothing_and_one_value_have_an_axis_too() {
        for scale in [Scale::Linear, Scale::Log] {
            for values in [&[][..], &[f64::NAN, f64::INFINITY], &[-1.0, 0.0], &[7.0], &[7.0, 7.0]] {
                assert!(!ticks(scale, values).is_empty(), "{scale:?} {values:?}");
            }
        }
    }

    #[test]
    fn values_are_between_the_ends() {
        let fitted = Fitted::new(Scale::Linear, [0.0, 10.0].into_iter(), (200.0, 100.0));
        assert_eq!(
            (fitted.place(0.0), fitted.place(5.0), fitted.place(10.0)),
            (200.0, 150.0, 100.0)
        );
    }
}
