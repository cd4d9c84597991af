//! isp
