//! Which key serves the next request, and when a key is taken out of rotation or put back.

mod pool;

pub(crate) use pool::Pool;
