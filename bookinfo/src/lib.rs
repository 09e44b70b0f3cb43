//! bookinfo
