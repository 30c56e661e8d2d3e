//! From a connection string to a session on a database server: options of the driver, and what a new session is told.

mod authorities;
mod mysql;
mod postgresql;
mod zone;

pub(super) use self::{
    mysql::{mysql_options, mysql_sessions},
    postgresql::Servers,
    zone::Zone,
};
