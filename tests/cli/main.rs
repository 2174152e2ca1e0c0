//! The command line from outside: exit codes, what is printed where, files left behind.

mod place;
mod commands;
mod runs;
