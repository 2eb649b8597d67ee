//! Statistics of one column and of two: variance, standard deviation, skewness, kurtosis, covariance, correlation and linear
//! regression.
//!
//! They are computed from central moments in one pass and merged, with the steps of Spark in Spark's order. So the results have
//! the digits of Spark for one partition, and large values lose no digits, as they do in sums of squares.

mod accumulators;
mod pair;
mod single;
mod totals;

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use self::accumulators::{Distinct, Many, One, Sliding};
pub(super) use self::totals::{average_of_window, sum_of_window};
use super::gathered::state_lists;
use crate::lists::wrong_count;
use crate::plain::wrong_call;
use pinsql_base::schema::type_name;

/// All statistics of this module.
pub(super) fn all() -> Vec<AggregateUDF> {
    let mut functions = single::functions();
    functions.extend(pair::functions());
    functions
}

/// The moments of a group so far.
trait Moments: Clone + Default + Debug + Send + Sync + 'static {
    /// The number of columns that the statistic takes.
    const ARGUMENTS: usize;
    /// The names of the columns of the state.
    const STATE: &'static [&'static str];

    /// Adds a row. With one argument, the second number is not used.
    fn add(&mut self, row: [f64; 2]);

    fn merge(&mut self, other: &Self);

    /// The numbers of the state, in the order of [`Self::STATE`]. The rest is 0.
    fn parts(&self) -> Parts;

    fn from_parts(parts: &Parts) -> Self;
}

/// The maximum number of columns of a state.
const PARTS_MAX: usize = 9;

/// The numbers of a state.
type Parts = [f64; PARTS_MAX];

/// The value of a statistic. None is NULL.
type Evaluate<M> = fn(&M) -> Option<f64>;

/// A statistic as an aggregate function. Its name is its identity.
#[derive(Debug)]
struct Statistic<M: Moments> {
    name: &'static str,
    aliases: Vec<String>,
    evaluate: Evaluate<M>,
    signature: Signature,
}

impl<M: Moments> PartialEq for Statistic<M> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<M: Moments> Eq for Statistic<M> {}

impl<M: Moments> Hash for Statistic<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Creates the aggregate. The first name is its main name, the others are aliases.
fn statistic<M: Moments>(names: &[&'static str], evaluate: Evaluate<M>) -> AggregateUDF {
    let (name, aliases) = names.split_first().map_or(("", &[][..]), |(name, aliases)| (*name, aliases));
    AggregateUDF::new_from_impl(Statistic {
        name,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        evaluate,
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

impl<M: Moments> AggregateUDFImpl for Statistic<M> {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() != M::ARGUMENTS {
            return wrong_count(
                self.name,
                if M::ARGUMENTS == 1 { "one number is taken" } else { "two numbers are taken" },
            );
        }
        let is_taken = |data_type: &&DataType| data_type.is_numeric() || data_type.is_string() || data_type.is_null();
        match types.iter().find(|data_type| !is_taken(data_type)) {
            Some(other) => {
                Err(wrong_call(self.name, format!("expected a number, got {}", type_name(other)), "cast the value"))
            }
            None => Ok(vec![DataType::Float64; types.len()]),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if call.is_distinct {
            return Ok(state_lists(&call));
        }
        let field = |part: &&str| -> FieldRef {
            Arc::new(Field::new(format_state_name(call.name, part), DataType::Float64, false))
        };
        Ok(M::STATE.iter().map(field).collect())
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(match call.is_distinct {
            true => Box::new(Distinct::<M>::new(self.evaluate)),
            false => Box::new(One::<M>::new(self.evaluate)),
        })
    }

    fn create_sliding_accumulator(&self, _call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sliding::<M>::new(self.evaluate)))
    }

    fn groups_accumulator_supported(&self, call: AccumulatorArgs) -> bool {
        !call.is_distinct
    }

    fn create_groups_accumulator(&self, _call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Many::<M>::new(self.evaluate)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
