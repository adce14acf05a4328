//! stub
pub mod layout;
pub mod splice;
