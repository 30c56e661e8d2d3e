//! Searches over a real database.
