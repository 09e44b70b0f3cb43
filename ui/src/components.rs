//! What more than one page is built of.

pub mod editor;
pub mod header;
pub mod help;
pub mod icons;
pub mod menu;
pub mod rail;
pub mod size;
pub mod states;
