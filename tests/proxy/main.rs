//! The data plane of the real binary over real sockets, towards a mock upstream that plays a script.

mod bodies;
mod failover;
mod life_cycle;
mod limits;
mod review_path;
mod streams;
mod support;
