//! What pinsql writes, read by Spark with Delta: values at the edges of every type, odd partitions, every version of a table that
//! went through all that can be done to one, and which files Spark skips by the statistics.

mod life;
mod skipping;
mod values;
