//! The embedded store: the truth in one file on disk, for one machine.
