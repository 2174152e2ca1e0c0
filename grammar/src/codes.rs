//! The table of faults: one line each, one test in `tests/errors/` each.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)*) => {
        /// A fault that the user can make, by its kebab-case name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)* }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name shown in `error[...]`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The text does not follow the grammar.
    Syntax = "syntax";
    /// A name that nothing defines.
    UnknownName = "unknown-name";
    /// A name that is defined twice in one scope.
    DuplicateName = "duplicate-name";
    /// An argument that the callee does not take, or not so often.
    UnknownArgument = "unknown-argument";
    /// An argument that the callee needs and did not get.
    MissingArgument = "missing-argument";
    /// A value of the wrong kind, such as a tensor where an integer is meant.
    TypeMismatch = "type-mismatch";
    /// Tensors whose shapes do not fit together.
    ShapeMismatch = "shape-mismatch";
    /// An axis name that the tensor does not have.
    UnknownAxis = "unknown-axis";
    /// A hyper-parameter or constant with a value that makes no sense.
    BadValue = "bad-value";
    /// A statement or expression where it cannot stand.
    Misplaced = "misplaced";
    /// A setting that `train` does not know, or lacks.
    BadSetting = "bad-setting";
    /// A definition that uses itself.
    Recursion = "recursion";
    /// A `--set` that names no constant or does not fit its type.
    BadOverride = "bad-override";
    /// A model larger than this machine's memory.
    TooLarge = "too-large";
    /// A definition, parameter or value that nothing uses.
    Unused = "unused";
    /// Something that compiles but is probably not meant.
    Suspicious = "suspicious";
}
