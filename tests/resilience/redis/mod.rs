//! Real Redis servers that fail over, evict, are full, lose their data or bring old data back.
