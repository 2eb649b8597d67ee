//! Statistics of one column.

use datafusion::logical_expr::AggregateUDF;

use super::{Moments, Parts, statistic};

/// The first four central moments, each multiplied by the count.
#[derive(Debug, Clone, Default)]
pub(super) struct Central {
    count: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

pub(super) fn functions() -> Vec<AggregateUDF> {
    vec![
        statistic::<Central>(&["var_pop", "var_population"], |group| group.over(group.count)),
        statistic::<Central>(&["var_samp", "variance", "var", "var_sample"], |group| group.over(group.count - 1.0)),
        statistic::<Central>(&["stddev_pop"], |group| group.over(group.count).map(f64::sqrt)),
        statistic::<Central>(&["stddev", "std", "stddev_samp"], |group| group.over(group.count - 1.0).map(f64::sqrt)),
        // NULL for equal values.
        statistic::<Central>(&["skewness"], |group| {
            let skewness = || group.count.sqrt() * group.m3 / (group.m2 * group.m2 * group.m2).sqrt();
            (group.count > 0.0 && group.m2 != 0.0).then(skewness)
        }),
        statistic::<Central>(&["kurtosis"], |group| {
            let kurtosis = || group.count * group.m4 / (group.m2 * group.m2) - 3.0;
            (group.count > 0.0 && group.m2 != 0.0).then(kurtosis)
        }),
    ]
}

impl Central {
    /// NULL without rows, and for a sample of one row.
    fn over(&self, count: f64) -> Option<f64> {
        (count > 0.0).then(|| self.m2 / count)
    }
}

impl Moments for Central {
    const ARGUMENTS: usize = 1;
    const STATE: &'static [&'static str] = &["count", "mean", "m2", "m3", "m4"];

    fn add(&mut self, [value, _]: [f64; 2]) {
        let count = self.count + 1.0;
        let delta = value - self.mean;
        let delta_n = delta / count;
        let m2 = self.m2 + delta * (delta - delta_n);
        let (delta2, delta_n2) = (delta * delta, delta_n * delta_n);
        let m3 = self.m3 - 3.0 * delta_n * m2 + delta * (delta2 - delta_n2);
        let m4 = self.m4 - 4.0 * delta_n * m3 - 6.0 * delta_n2 * m2 + delta * (delta * delta2 - delta_n * delta_n2);
        *self = Self { count, mean: self.mean + delta_n, m2, m3, m4 };
    }

    fn merge(&mut self, other: &Self) {
        let (n1, n2) = (self.count, other.count);
        if n2 == 0.0 {
            return;
        }
        let count = n1 + n2;
        let delta = other.mean - self.mean;
        let delta_n = delta / count;
        let m2 = self.m2 + other.m2 + delta * delta_n * n1 * n2;
        let m3 = self.m3
            + other.m3
            + delta_n * delta_n * delta * n1 * n2 * (n1 - n2)
            + 3.0 * delta_n * (n1 * other.m2 - n2 * self.m2);
        let m4 = self.m4
            + other.m4
            + delta_n * delta_n * delta_n * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2)
            + delta_n * delta_n * 6.0 * (n1 * n1 * other.m2 + n2 * n2 * self.m2)
            + 4.0 * delta_n * (n1 * other.m3 - n2 * self.m3);
        *self = Self { count, mean: self.mean + delta_n * n2, m2, m3, m4 };
    }

    fn parts(&self) -> Parts {
        [self.count, self.mean, self.m2, self.m3, self.m4, 0.0, 0.0, 0.0, 0.0]
    }

    fn from_parts(&[count, mean, m2, m3, m4, ..]: &Parts) -> Self {
        Self { count, mean, m2, m3, m4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Central {
        let mut group = Central::default();
        values.iter().for_each(|value| group.add([*value, 0.0]));
        group
    }

    /// The result of `var_pop` and `stddev` in Spark 4.2.
    #[test]
    fn large_values_have_the_digits_of_spark() {
        let group = of(&[1_000_000_003.0, 1_000_000_004.0, 1_000_000_006.0, 1_000_000_007.0]);
        assert_eq!(group.over(group.count), Some(2.499_999_960_263_570_3));
        assert_eq!(group.over(group.count - 1.0).map(f64::sqrt), Some(1.825_741_843_840_861));
    }

    #[test]
    fn merged_groups_are_one_group() {
        let values = [3.0, -1.0, 4.5, 1e3, -5.0, 9.25];
        let whole = of(&values);
        for split in 0..=values.len() {
            let (left, right) = values.split_at(split);
            let mut merged = of(left);
            merged.merge(&Central::from_parts(&of(right).parts()));
            for (merged, whole) in merged.parts().into_iter().zip(whole.parts()) {
                assert!((merged - whole).abs() <= whole.abs() * 1e-9 + 1e-9, "{merged} {whole}");
            }
        }
    }
}
