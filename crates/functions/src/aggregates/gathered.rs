//! Aggregates that need all values of a group at once, such as percentiles.
//!
//! `groups.rs` stores the values in the order of arrival. They count as used memory, so too many of them are an error of the
//! statement. If the engine spills, the state of a group is one list per argument. Rows with NULL in the first argument are
//! ignored, as in Spark.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use super::groups::{Groups, OneGroup};
use crate::plain::ChooseTypes;
use pinsql_base::schema::list_of;

/// Computes the value of a group from its arguments. The first argument has no NULL.
pub(super) type Finish = fn(&[ArrayRef], &DataType) -> Result<ScalarValue>;

#[derive(Debug)]
pub(super) struct Gathered {
    name: &'static str,
    aliases: Vec<String>,
    types: ChooseTypes,
    finish: Finish,
    signature: Signature,
}

impl PartialEq for Gathered {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Gathered {}

impl Hash for Gathered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Creates the aggregate. The first name is its main name, the others are aliases.
pub(super) fn gathered(names: &[&'static str], types: ChooseTypes, finish: Finish) -> AggregateUDF {
    let (name, aliases) = names.split_first().map_or(("", &[][..]), |(name, aliases)| (*name, aliases));
    AggregateUDF::new_from_impl(Gathered {
        name,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        types,
        finish,
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

/// The columns of the state: one list per argument.
pub(super) fn state_lists(call: &StateFieldsArgs) -> Vec<FieldRef> {
    let field = |(number, field): (usize, &FieldRef)| -> FieldRef {
        let name = format_state_name(call.name, &format!("argument {number}"));
        Arc::new(Field::new(name, list_of(field.data_type().clone()), true))
    };
    call.input_fields.iter().enumerate().map(field).collect()
}

impl AggregateUDFImpl for Gathered {
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
        Ok((self.types)(self.name, types)?.arguments)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.types)(self.name, types)?.result)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_lists(&call))
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(Groups::new(&call, self.finish))))
    }

    fn create_sliding_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(call)
    }

    fn groups_accumulator_supported(&self, _call: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(&call, self.finish)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
