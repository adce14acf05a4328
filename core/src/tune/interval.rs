use serde::Serialize;

/// Where the median of what was measured lies, with about 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// The median of the samples.
    pub median: f64,
    /// Its upper end.
    pub high: f64,
    /// Number of samples.
    pub n: usize,
}

impl Interval {
    /// From the median to the farther end.
    pub fn reach(&self) -> f64 {
        (self.high - self.median).max(self.median - self.low)
    }

    /// The same as a part of the median.
    pub fn spread(&self) -> f64 {
        let reach = self.reach();
        if reach <= 0.0 { 0.0 } else { reach / self.median }
    }
}

/// What was measured again and again, in ascending order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a finite value; others are no measurement and are left out.
    pub fn push(&mut self, value: f64) {
        if value.is_finite() {
            let at = self.0.partition_point(|&other| other <= value);
            self.0.insert(at, value);
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The median; 0 of nothing.
    pub fn median(&self) -> f64 {
        let n = self.0.len();
        match n {
            0 => 0.0,
            n if n % 2 == 1 => self.0[n / 2],
            n => f64::midpoint(self.0[n / 2 - 1], self.0[n / 2]),
        }
    }

    /// The median with its interval by ranks, which asks nothing of how the samples are spread.
    /// Fewer than six do not reach 95 %: their interval is from the smallest to the largest. `None`
    /// of nothing.
    pub fn interval(&self) -> Option<Interval> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let n = self.0.len();
        // Ranks of a binomial distribution with p = 1/2, by its normal approximation.
        let rank = (n as f64 - 1.96 * (n as f64).sqrt()) / 2.0;
        let rank = rank.floor().max(0.0) as usize;
        let low = self.0.get(rank).unwrap_or(first);
        let high = self.0.get(n - 1 - rank.min(n - 1)).unwrap_or(last);
        Some(Interval { low: *low, median: self.median(), high: *high, n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64, f64)> {
        let mut samples = Samples::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples.interval().map(|interval| (interval.low, interval.median, interval.high))
    }

    #[test]
    fn few_samples_have_the_interval_that_they_span() {
        assert_eq!(interval([]), None);
        assert_eq!(interval([f64::NAN, f64::INFINITY]), None);
        assert_eq!(interval([3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(interval([5.0, 1.0, 2.0, 4.0]), Some((1.0, 3.0, 5.0)));
    }

    #[test]
    fn many_samples_leave_their_ends_out() {
        // The table for n = 20 says the 6th and the 15th; the approximation is no narrower.
        assert_eq!(interval((1..=20).map(f64::from)), Some((6.0, 10.5, 15.0)));
        let (low, median, high) = interval((0..1000).map(f64::from).rev()).unwrap();
        assert_eq!(median, 499.5);
        assert!((465.0..470.0).contains(&low) && (530.0..535.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn spread_is_the_farther_end() {
        let interval = Interval { low: 90.0, median: 100.0, high: 140.0, n: 9 };
        assert_eq!(interval.spread(), 0.4);
        assert_eq!(Interval { low: 0.0, median: 0.0, high: 0.0, n: 9 }.spread(), 0.0);
    }
}
