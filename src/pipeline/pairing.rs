//! Joins a late output with the input it came from.
