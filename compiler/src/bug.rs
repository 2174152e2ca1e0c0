//! Faults of the compiler itself: a panic that names the pass. The user's mistakes
//! are diagnostics and end with `elaborate`.

/// `bug!("fuse", "kernel {name} stores twice")`
macro_rules! bug {
    ($pass:literal, $($message:tt)+) => {
        panic!("bug in `{}`: {}", $pass, format_args!($($message)+))
    };
}
pub(crate) use bug;
