//! A panic in an actor stays one panic: who does not need the actor notices nothing, who does is
//! told at once, it is back at once, and nothing acknowledged is lost. What is too much is shed at
//! once, and nothing swells.

mod panics;
mod poison;
mod ward;
