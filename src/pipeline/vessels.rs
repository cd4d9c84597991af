//! From an output tensor to probability and mask.
