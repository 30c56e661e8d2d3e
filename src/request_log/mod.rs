//! The record of every request: from the hot path through a bounded buffer into the database.
