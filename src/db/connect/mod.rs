//! From a connection string to a session on a database server: options of the driver, and what a new session is told.

mod authorities;
mod mysql;
mod postgresql;
mod zone;

pub(super) use self::{
    mysql::{mysql_options, mysql_session},
    postgresql::{Servers, check_writable},
    zone::Zone,
};

#[cfg(test)]
mod server_tests;
