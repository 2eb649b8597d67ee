//! Statistics of two columns. Rows with a NULL in one of them are ignored.
//!
//! The first argument is the dependent variable of a regression, the second one the independent variable.

use datafusion::logical_expr::AggregateUDF;

use super::{Moments, Parts, statistic};

/// The moments of two columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    count: f64,
    first_mean: f64,
    second_mean: f64,
    /// The co-moment, with the first column as Spark's x.
    co_moment: f64,
    /// The co-moment, with the second column as Spark's x. The order of the operands decides the last digits.
    swapped_co_moment: f64,
    /// The second moments as in Spark's `corr`.
    first_spread: f64,
    second_spread: f64,
    /// The second moments as in Spark's `var_pop`.
    first_m2: f64,
    second_m2: f64,
}

pub(super) fn functions() -> Vec<AggregateUDF> {
    vec![
        statistic::<Pair>(&["covar_pop"], |pair| (pair.count > 0.0).then(|| pair.co_moment / pair.count)),
        statistic::<Pair>(&["covar_samp", "covar"], |pair| {
            (pair.count > 1.0).then(|| pair.co_moment / (pair.count - 1.0))
        }),
        statistic::<Pair>(&["corr"], |pair| pair.correlation().filter(|_| pair.count > 1.0)),
        statistic::<Pair>(&["regr_sxx"], |pair| (pair.count > 0.0).then_some(pair.second_m2)),
        statistic::<Pair>(&["regr_syy"], |pair| (pair.count > 0.0).then_some(pair.first_m2)),
        statistic::<Pair>(&["regr_sxy"], |pair| (pair.count > 0.0).then_some(pair.co_moment)),
        statistic::<Pair>(&["regr_slope"], Pair::slope),
        statistic::<Pair>(&["regr_intercept"], |pair| {
            pair.slope().map(|slope| pair.first_mean - slope * pair.second_mean)
        }),
        statistic::<Pair>(&["regr_r2"], |pair| match (pair.second_spread == 0.0, pair.first_spread == 0.0) {
            (true, _) => None,
            // A constant dependent variable is explained in full.
            (false, true) => Some(1.0),
            (false, false) => pair.correlation().map(|correlation| correlation * correlation),
        }),
    ]
}

impl Pair {
    /// NULL if one of the columns is constant.
    fn correlation(&self) -> Option<f64> {
        let spread = (self.first_spread * self.second_spread).sqrt();
        (spread != 0.0).then(|| self.co_moment / spread)
    }

    fn slope(&self) -> Option<f64> {
        (self.second_m2 != 0.0).then(|| self.swapped_co_moment / self.second_m2)
    }
}

impl Moments for Pair {
    const ARGUMENTS: usize = 2;
    const STATE: &'static [&'static str] = &[
        "count",
        "first_mean",
        "second_mean",
        "co_moment",
        "swapped_co_moment",
        "first_spread",
        "second_spread",
        "first_m2",
        "second_m2",
    ];

    fn add(&mut self, [first, second]: [f64; 2]) {
        let count = self.count + 1.0;
        let (first_delta, second_delta) = (first - self.first_mean, second - self.second_mean);
        let (first_step, second_step) = (first_delta / count, second_delta / count);
        let (first_mean, second_mean) = (self.first_mean + first_step, self.second_mean + second_step);
        *self = Self {
            count,
            first_mean,
            second_mean,
            co_moment: self.co_moment + first_delta * (second - second_mean),
            swapped_co_moment: self.swapped_co_moment + second_delta * (first - first_mean),
            first_spread: self.first_spread + first_delta * (first - first_mean),
            second_spread: self.second_spread + second_delta * (second - second_mean),
            first_m2: self.first_m2 + first_delta * (first_delta - first_step),
            second_m2: self.second_m2 + second_delta * (second_delta - second_step),
        };
    }

    fn merge(&mut self, other: &Self) {
        let (n1, n2) = (self.count, other.count);
        if n2 == 0.0 {
            return;
        }
        let count = n1 + n2;
        let first_delta = other.first_mean - self.first_mean;
        let second_delta = other.second_mean - self.second_mean;
        let (first_step, second_step) = (first_delta / count, second_delta / count);
        let between = |delta: f64, step: f64| delta * step * n1 * n2;
        *self = Self {
            count,
            first_mean: self.first_mean + first_step * n2,
            second_mean: self.second_mean + second_step * n2,
            co_moment: self.co_moment + other.co_moment + between(first_delta, second_step),
            swapped_co_moment: self.swapped_co_moment + other.swapped_co_moment + between(second_delta, first_step),
            first_spread: self.first_spread + other.first_spread + between(first_delta, first_step),
            second_spread: self.second_spread + other.second_spread + between(second_delta, second_step),
            first_m2: self.first_m2 + other.first_m2 + between(first_delta, first_step),
            second_m2: self.second_m2 + other.second_m2 + between(second_delta, second_step),
        };
    }

    fn parts(&self) -> Parts {
        [
            self.count,
            self.first_mean,
            self.second_mean,
            self.co_moment,
            self.swapped_co_moment,
            self.first_spread,
            self.second_spread,
            self.first_m2,
            self.second_m2,
        ]
    }

    fn from_parts(parts: &Parts) -> Self {
        let &[
            count,
            first_mean,
            second_mean,
            co_moment,
            swapped_co_moment,
            first_spread,
            second_spread,
            first_m2,
            second_m2,
        ] = parts;
        Self {
            count,
            first_mean,
            second_mean,
            co_moment,
            swapped_co_moment,
            first_spread,
            second_spread,
            first_m2,
            second_m2,
        }
    }
}
