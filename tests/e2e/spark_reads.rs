//! Spark with Delta reads the tables of pinsql: limit values of every type, unusual partitions, every version of a
//! table after every kind of operation, and the files that Spark skips by the statistics.

mod life;
mod skipping;
mod values;
