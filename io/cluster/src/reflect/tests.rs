//! (tests of reflect follow)
