//! MongoDB: the truth.
