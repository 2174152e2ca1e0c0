//! The command line from outside: exit codes, what is printed where, files left behind.

#![allow(clippy::unwrap_used)]

mod place;
mod commands;
mod runs;
mod steps;
mod elsewhere;
mod sources;
mod hostile;
mod generate;
mod playing;
