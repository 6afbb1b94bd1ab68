//! A panic in an actor stays one panic: who does not need the actor notices nothing, who does is
//! told at once, it is back at once, and nothing acknowledged is lost.

mod deed;
mod overload;
mod panics;
mod poison;
mod soak;
mod usage;
mod ward;
