//! Text for terminals and files: wrapping, tables, colours, sizes and times.

pub(crate) mod colours;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod width;
pub(crate) mod wrap;
