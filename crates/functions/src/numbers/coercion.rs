//! The one table of Spark's rules for types: the common type of two values, and the types of arithmetic.
//!
//! The rules are those of the ANSI mode: `AnsiTypeCoercion` and `DecimalPrecision` in Spark's source, and
//! <https://docs.databricks.com/en/sql/language-manual/sql-ref-datatype-rules.html>. The functions of this crate use them for
//! their arguments, and the analyzer rule of the session uses them for CASE, UNION, comparisons and joins.
//!
//! Absent: literals. Next to a DECIMAL, an integer literal has the precision of its digits. Only the planner sees literals.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields};

use crate::times::to_timestamp::timestamp_type;

/// The scale that stays when the digits of a result are limited to 38.
const SCALE_KEPT: i16 = 6;
const PRECISION_MAX: i16 = DECIMAL128_MAX_PRECISION as i16;

/// An operator of arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`, and `pmod`.
    Remainder,
    /// `div`.
    WholeDivide,
}

/// Precision and scale. Both can be past the limit of 38.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) precision: i16,
    pub(crate) scale: i16,
}

impl Size {
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Decimal128(precision, scale) => Some(Self::new(i16::from(*precision), i16::from(*scale))),
            _ => None,
        }
    }

    fn new(precision: i16, scale: i16) -> Self {
        Self { precision, scale }
    }

    fn whole_digits(self) -> i16 {
        self.precision - self.scale
    }

    /// The type with at most 38 digits. Digits of the fraction are dropped first, but 6 of them stay.
    fn adjusted(self) -> DataType {
        if self.precision <= PRECISION_MAX {
            return self.data_type();
        }
        let scale = (PRECISION_MAX - self.whole_digits()).max(self.scale.min(SCALE_KEPT));
        Self::new(PRECISION_MAX, scale).data_type()
    }

    /// The type with at most 38 digits. All digits of the whole part stay.
    fn with_whole_digits(self) -> DataType {
        let past = (self.precision - PRECISION_MAX).max(0);
        Self::new(self.precision - past, (self.scale - past).max(0)).data_type()
    }

    fn data_type(self) -> DataType {
        // Both are between 0 and 38.
        let precision = u8::try_from(self.precision).unwrap_or(DECIMAL128_MAX_PRECISION);
        DataType::Decimal128(precision, i8::try_from(self.scale).unwrap_or_default())
    }

    /// The type that holds the values of both.
    fn wider(self, other: Self) -> DataType {
        let scale = self.scale.max(other.scale);
        Self::new(self.whole_digits().max(other.whole_digits()) + scale, scale).with_whole_digits()
    }
}

impl Operator {
    /// The size of an exact result of two decimals. For `/`, the size before the limit of 38 digits.
    pub(crate) fn exact_size(self, left: Size, right: Size) -> Size {
        let scale = left.scale.max(right.scale);
        match self {
            Self::Add | Self::Subtract => Size::new(left.whole_digits().max(right.whole_digits()) + scale + 1, scale),
            Self::Multiply => Size::new(left.precision + right.precision + 1, left.scale + right.scale),
            Self::Divide => {
                let scale = (left.scale + right.precision + 1).max(SCALE_KEPT);
                Size::new(left.whole_digits() + right.scale + scale, scale)
            }
            Self::Remainder | Self::WholeDivide => {
                Size::new(left.whole_digits().min(right.whole_digits()) + scale, scale)
            }
        }
    }

    /// The types that the operands are cast to. None if the operator is not one of two numbers.
    ///
    /// A STRING next to a number is a number: a BIGINT next to an integer, otherwise a DOUBLE.
    pub fn operand_types(self, left: &DataType, right: &DataType) -> Option<(DataType, DataType)> {
        let (left, right) = (number_of(left, right)?, number_of(right, left)?);
        let same = |data_type: DataType| Some((data_type.clone(), data_type));
        if left.is_floating() || right.is_floating() {
            return match (self, &left, &right) {
                (Self::WholeDivide, _, _) => None,
                (Self::Divide, _, _) => same(DataType::Float64),
                (_, DataType::Float32, DataType::Float32) => same(DataType::Float32),
                _ => same(DataType::Float64),
            };
        }
        if Size::of(&left).is_some() || Size::of(&right).is_some() {
            return Some((decimal_of(&left)?, decimal_of(&right)?));
        }
        match self {
            Self::Divide => same(DataType::Float64),
            Self::WholeDivide => same(DataType::Int64),
            _ => same(wider_integer(&left, &right)?),
        }
    }

    /// The type of the result for operands of the types from [`Self::operand_types`].
    pub fn result_type(self, left: &DataType, right: &DataType) -> Option<DataType> {
        match (self, Size::of(left), Size::of(right)) {
            (Self::WholeDivide, _, _) => Some(DataType::Int64),
            (_, Some(left), Some(right)) => Some(self.exact_size(left, right).adjusted()),
            _ => (left == right).then(|| left.clone()),
        }
    }
}

/// An operand of arithmetic as a number. NULL takes the type of the other operand.
fn number_of(operand: &DataType, other: &DataType) -> Option<DataType> {
    match operand {
        number if number.is_numeric() && (number.is_floating() || decimal_of(number).is_some()) => Some(number.clone()),
        DataType::Null if other.is_numeric() => Some(other.clone()),
        text if is_text(text) && other.is_integer() => Some(DataType::Int64),
        text if is_text(text) && other.is_numeric() => Some(DataType::Float64),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The DECIMAL type that holds every value of an integer or a DECIMAL type.
pub(crate) fn decimal_of(data_type: &DataType) -> Option<DataType> {
    let digits = match data_type {
        DataType::Decimal128(_, scale) if *scale >= 0 => return Some(data_type.clone()),
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 | DataType::UInt64 => 20,
        _ => return None,
    };
    Some(DataType::Decimal128(digits, 0))
}

/// The wider of two integer types. Functions of DataFusion return unsigned integers, which Databricks does not have. They become
/// the signed type that holds them.
pub(crate) fn wider_integer(left: &DataType, right: &DataType) -> Option<DataType> {
    let bits = |data_type: &DataType| match data_type {
        DataType::Int8 => Some(8),
        DataType::Int16 | DataType::UInt8 => Some(16),
        DataType::Int32 | DataType::UInt16 => Some(32),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Some(64),
        _ => None,
    };
    Some(match bits(left)?.max(bits(right)?) {
        8 => DataType::Int8,
        16 => DataType::Int16,
        32 => DataType::Int32,
        _ => DataType::Int64,
    })
}

/// The type that values of both types are cast to: in comparisons, UNION, CASE, `coalesce` and similar functions.
///
/// None if there is no such type: for a DATE and a number, a BOOLEAN and a number, and types that are unknown here.
pub fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Binary, Boolean, Date32, LargeBinary, List, Map, Null, Struct, Timestamp, Utf8};
    if left == right {
        return Some(left.clone());
    }
    Some(match (left, right) {
        (Null, other) | (other, Null) => other.clone(),
        (left, right) if left.is_numeric() && right.is_numeric() => common_number(left, right)?,
        (Date32, Timestamp(_, _)) | (Timestamp(_, _), Date32) | (Timestamp(_, _), Timestamp(_, _)) => timestamp_type(),
        (text, other_text) if is_text(text) && is_text(other_text) => Utf8,
        (text, other) | (other, text) if is_text(text) => match other {
            other if other.is_integer() => DataType::Int64,
            other if other.is_numeric() => DataType::Float64,
            Date32 | Boolean | Binary | LargeBinary => other.clone(),
            Timestamp(_, _) => timestamp_type(),
            _ => return None,
        },
        (List(left), List(right)) => List(common_field(left, right)?),
        (Map(left, is_sorted), Map(right, _)) => Map(common_field(left, right)?, *is_sorted),
        (Struct(left), Struct(right)) if left.len() == right.len() => {
            let is_same = |(left, right): (&FieldRef, &FieldRef)| left.name().eq_ignore_ascii_case(right.name());
            if !left.iter().zip(right).all(is_same) {
                return None;
            }
            Struct(left.iter().zip(right).map(|(left, right)| common_field(left, right)).collect::<Option<Fields>>()?)
        }
        _ => return None,
    })
}

/// The common type of many values. NULL if there are none.
pub(crate) fn common_type_of<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<DataType> {
    types.into_iter().try_fold(DataType::Null, |common, data_type| common_type(&common, data_type))
}

/// The type that an array and an element are brought to, in the functions that add, remove or find an element.
///
/// A text is no number there, and a DECIMAL must hold all values of an integer. An integer and a FLOAT give a FLOAT.
pub(crate) fn tightest_type(array: &DataType, element: &DataType) -> Option<DataType> {
    use DataType::{Float32, Float64};
    match (array, element) {
        (left, right) if is_text(left) != is_text(right) && !left.is_null() && !right.is_null() => None,
        (Float32, integer) | (integer, Float32) if integer.is_integer() => Some(Float32),
        (decimal, float @ (Float32 | Float64)) | (float @ (Float32 | Float64), decimal)
            if Size::of(decimal).is_some() =>
        {
            // Spark has no type for these, and pinsql takes the one of comparisons.
            common_type(decimal, float)
        }
        (decimal, integer) | (integer, decimal) if Size::of(decimal).is_some() && integer.is_integer() => {
            let (decimal, whole) = (Size::of(decimal)?, Size::of(&decimal_of(integer)?)?);
            (decimal.whole_digits() >= whole.whole_digits()).then(|| decimal.data_type())
        }
        (left, right) => common_type(left, right),
    }
}

fn common_field(left: &FieldRef, right: &FieldRef) -> Option<FieldRef> {
    let data_type = common_type(left.data_type(), right.data_type())?;
    let is_nullable = left.is_nullable() || right.is_nullable();
    Some(Arc::new(Field::new(left.name(), data_type, is_nullable).with_metadata(left.metadata().clone())))
}

fn common_number(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        // A FLOAT does not hold all integers.
        (left, right) if left.is_floating() || right.is_floating() => Some(DataType::Float64),
        (left, right) => match wider_integer(left, right) {
            Some(integer) => Some(integer),
            None => Some(Size::of(&decimal_of(left)?)?.wider(Size::of(&decimal_of(right)?)?)),
        },
    }
}

/// True if Spark refuses to bring two types together. Other pairs without a common type are left to DataFusion: types that only
/// DataFusion has, and structs whose fields have other names.
pub fn are_incompatible(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::List(left), DataType::List(right)) | (DataType::Map(left, _), DataType::Map(right, _)) => {
            are_incompatible(left.data_type(), right.data_type())
        }
        (DataType::Struct(left), DataType::Struct(right)) => {
            let is_pair = |(left, right): (&FieldRef, &FieldRef)| are_incompatible(left.data_type(), right.data_type());
            left.len() != right.len() || left.iter().zip(right).any(is_pair)
        }
        (left, right) => {
            is_known(left)
                && is_known(right)
                && common_type(left, right).is_none()
                && !(is_text_or_bytes(left) && is_text_or_bytes(right))
        }
    }
}

fn is_text_or_bytes(data_type: &DataType) -> bool {
    is_text(data_type) || data_type.is_binary()
}

/// True for a type of Spark. NULL has a common type with each of them.
fn is_known(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || is_text_or_bytes(data_type)
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Date32
                | DataType::Timestamp(_, _)
                | DataType::List(_)
                | DataType::Map(_, _)
                | DataType::Struct(_)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal((precision, scale): (u8, i8)) -> DataType {
        DataType::Decimal128(precision, scale)
    }

    /// The results of `typeof(CAST(1 AS left) op CAST(1 AS right))` in PySpark 4.2.
    #[test]
    fn results_of_decimals_have_the_types_of_spark() {
        use Operator::{Add, Divide, Multiply, Remainder};
        for (operator, left, right, expected) in [
            (Add, (1, 1), (1, 1), (2, 1)),
            (Add, (5, 1), (5, 1), (6, 1)),
            (Add, (38, 10), (38, 10), (38, 9)),
            (Multiply, (4, 2), (1, 0), (6, 2)),
            (Multiply, (2, 1), (2, 1), (5, 2)),
            (Multiply, (20, 2), (1, 1), (22, 3)),
            (Multiply, (32, 4), (16, 2), (38, 6)),
            (Remainder, (2, 1), (1, 0), (2, 1)),
            (Remainder, (2, 0), (2, 1), (2, 1)),
            (Divide, (2, 1), (1, 0), (7, 6)),
            (Divide, (1, 0), (2, 1), (8, 6)),
            (Divide, (2, 1), (2, 1), (8, 6)),
            (Divide, (10, 2), (10, 2), (23, 13)),
            (Divide, (38, 10), (38, 10), (38, 6)),
            (Divide, (5, 2), (1, 0), (9, 6)),
            (Divide, (5, 2), (20, 0), (26, 23)),
            (Divide, (10, 0), (5, 2), (18, 6)),
            (Divide, (20, 2), (2, 1), (25, 6)),
        ] {
            let result = operator.result_type(&decimal(left), &decimal(right));
            assert_eq!(result, Some(decimal(expected)), "{operator:?} of {left:?} and {right:?}");
        }
    }

    #[test]
    fn common_types_are_those_of_spark() {
        use DataType::{Boolean, Date32, Float32, Float64, Int8, Int32, Int64, Null, Utf8};
        for (left, right, expected) in [
            (decimal((20, 2)), decimal((1, 1)), Some(decimal((20, 2)))),
            (decimal((5, 2)), Int32, Some(decimal((12, 2)))),
            (decimal((20, 2)), Int32, Some(decimal((20, 2)))),
            // The whole digits stay, and the fraction is shortened.
            (decimal((38, 18)), decimal((30, 2)), Some(decimal((38, 10)))),
            (decimal((38, 0)), decimal((38, 38)), Some(decimal((38, 0)))),
            (decimal((5, 2)), Float32, Some(Float64)),
            (decimal((5, 2)), Float64, Some(Float64)),
            (Float32, Int8, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Int32, Int64, Some(Int64)),
            (Utf8, Int32, Some(Int64)),
            (Utf8, decimal((5, 2)), Some(Float64)),
            (Utf8, Date32, Some(Date32)),
            (Null, Date32, Some(Date32)),
            (Date32, Int32, None),
            (Boolean, Int32, None),
        ] {
            assert_eq!(common_type(&left, &right), expected, "{left} and {right}");
            assert_eq!(common_type(&right, &left), expected, "{right} and {left}");
        }
    }

    #[test]
    fn operands_become_numbers_of_one_kind() {
        use DataType::{Date32, Float32, Float64, Int32, Int64, Null, Utf8};
        for (operator, left, right, expected) in [
            (Operator::Add, Utf8, Int32, Some((Int64, Int64))),
            (Operator::Divide, Int32, Int32, Some((Float64, Float64))),
            (Operator::Multiply, Float32, Int32, Some((Float64, Float64))),
            (Operator::Add, Float32, Float32, Some((Float32, Float32))),
            (Operator::Add, decimal((5, 1)), Utf8, Some((Float64, Float64))),
            (Operator::Add, decimal((5, 1)), Int64, Some((decimal((5, 1)), decimal((20, 0))))),
            (Operator::Add, Null, decimal((5, 1)), Some((decimal((5, 1)), decimal((5, 1))))),
            (Operator::WholeDivide, Int32, Float64, None),
            (Operator::Add, Utf8, Utf8, None),
            (Operator::Add, Date32, Int32, None),
            (Operator::Add, Null, Null, None),
        ] {
            assert_eq!(operator.operand_types(&left, &right), expected, "{operator:?} of {left} and {right}");
        }
    }
}
