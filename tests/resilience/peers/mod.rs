//! Slow and hostile peers: bounded time, bounded memory, healthy clients unharmed.
