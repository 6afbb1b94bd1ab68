//! Floods of logins beside verification.
