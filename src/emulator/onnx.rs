//! ONNX messages, written by hand for prost.
