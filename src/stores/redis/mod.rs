//! Redis: the fast copy of live tokens, for us and for the programs that read it.
