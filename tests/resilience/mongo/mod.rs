//! Real MongoDB servers that step down, refuse, stall and come back.
