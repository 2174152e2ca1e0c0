//! The library that comes with the compiler: `.nn` text like any other.

use nnc_grammar::Sources;
use nnc_grammar::ast::File;

macro_rules! texts {
    ($($name:literal)*) => {
        [$((concat!("<prelude>/", $name), include_str!(concat!("../prelude/", $name)))),*]
    };
}

/// The library's texts by name.
const TEXTS: [(&str, &str); 12] = texts! {
    "math.nn" "initializers.nn" "activations.nn" "layers.nn" "recurrent.nn" "convolutions.nn" "norms.nn" "attention.nn" "losses.nn" "metrics.nn" "optimizers.nn" "schedules.nn"
};

/// Parses the library, entering its texts among the sources.
pub fn prelude(sources: &mut Sources) -> Vec<File> {
    let parse = |&(name, text): &(&str, &str)| {
        let file = sources.add(name, text);
        let (parsed, diagnostics) = nnc_grammar::parse(file, text);
        assert!(
            diagnostics.is_empty(),
            "elaborate: {name} has faults: {diagnostics:#?}"
        );
        parsed
    };
    TEXTS.iter().map(parse).collect()
}
