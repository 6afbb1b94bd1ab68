//! Floods of logins beside verification.

mod floods;
mod reset;
