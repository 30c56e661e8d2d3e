//! Nodes and leases over a real database.
