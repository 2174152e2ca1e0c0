//! The command line: the only place where a flag is named.

mod values;

pub use values::{Choice, ErrorFormat, IsaChoice, PhaseChoice, Profiled, StageChoice, When};

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use values::{at_least_one, seconds, temperature, threads};

/// A compiler for neural networks: a text file in, a trained network out.
#[derive(Parser, Debug)]
#[command(
    name = "nnc",
    version,
    about,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "\
Examples:
  nnc run models/mnist_cnn.nn                      train, test, save the weights
  nnc run models/mnist_cnn.nn --set lr=3e-4        the same with another constant
  nnc check models/mnist_cnn.nn                    shapes, parameters, FLOPs, memory
  nnc dump models/mnist_mlp.nn --stage kernels     what the compiler makes of it
  nnc bench models/mnist_cnn.nn --threads 2        how near to the machine's limit

Exit codes: 0 done, 1 the model is wrong, 2 the command or the world is wrong.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command takes.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Options that every command takes stand together at the end of its help.
const OUTPUT: &str = "Output options";

/// How to talk to the user.
#[derive(Args, Clone, Debug)]
pub struct OutputOptions {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = OUTPUT)]
    pub color: When,
    /// Print nothing but errors and results asked for.
    #[arg(long, short, global = true, help_heading = OUTPUT)]
    pub quiet: bool,
    /// How to print diagnostics.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human", help_heading = OUTPUT)]
    pub error_format: ErrorFormat,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a model, validate per epoch, test, and save the weights
    #[command(after_help = "\
Examples:
  nnc run models/mnist_cnn.nn
  nnc run models/mnist_mlp.nn --set lr=3e-4 --epochs 3 --seed 7 --out runs/small-lr
  nnc run models/mnist_cnn.nn --out runs/cnn --resume    go on after an interrupt

Writes to the run directory: weights.safetensors, resume.safetensors, metrics.jsonl, run.json.
Ctrl-C ends after the current step, with everything saved.")]
    Run(RunArgs),
    /// Check a model without running it: layers, shapes, parameters, FLOPs, memory
    Check(CheckArgs),
    /// Show what the compiler makes of a model, stage by stage
    #[command(after_help = "\
Examples:
  nnc dump models/linear_regression.nn --stage graph
  nnc dump models/mnist_mlp.nn --stage clif --phase eval
  nnc dump models/mnist_mlp.nn --stage simplified --dot | dot -Tsvg > graph.svg
  nnc dump models/mnist_cnn.nn --all out/     every stage, a file each
  nnc dump models/mnist_cnn.nn --time         what each pass takes")]
    Dump(DumpArgs),
    /// Evaluate saved weights on the test split
    #[command(after_help = "\
Example:
  nnc eval models/mnist_cnn.nn --weights runs/mnist_cnn-1/weights.safetensors")]
    Eval(EvalArgs),
    /// Apply saved weights to image files or .npy arrays
    #[command(after_help = "\
Examples:
  nnc predict models/mnist_cnn.nn --weights runs/mnist_cnn-1/weights.safetensors digit.png
  nnc predict models/mnist_mlp.nn --weights w.safetensors batch.npy --json

Pictures are resized to the net's input and scaled as the data source scales its own.
MNIST is white on black: a picture with a bright border is inverted. Arrays hold one
sample or a batch of them; unsigned bytes count as pixels, other numbers as they are.")]
    Predict(PredictArgs),
    /// Write text with saved weights of a model of the next character
    #[command(after_help = "\
Examples:
  nnc generate models/char_rnn.nn --weights runs/char_rnn-1/weights.safetensors --prompt \"ROMEO:\"
  nnc generate models/char_rnn.nn --weights w.safetensors --temperature 0.5 --top-k 10 --seed 7

The text is a function of weights, prompt and seed.")]
    Generate(GenerateArgs),
    /// Measure the training step and inference beside the machine's limit
    #[command(after_help = "\
Examples:
  nnc bench models/mnist_cnn.nn --threads 2 --json
  nnc bench models/mnist_cnn.nn --profile --trace step.json    where the time goes
  nnc bench models/vgg16.nn --batch 1 --profile --of inference the same of the net alone
  nnc bench models/mnist_cnn.nn --scaling --batches            more threads, other batches
  nnc bench models/mnist_cnn.nn --ablation                     what the large choices are worth
  nnc bench models/mnist_cnn.nn --without fusion --profile     one of them left out")]
    Bench(BenchArgs),
    /// Format model files
    #[command(after_help = "\
Examples:
  nnc fmt models/            every model of a folder
  nnc fmt --check a.nn b.nn  exit code 1 if one is not formatted; nothing is written")]
    Fmt(FmtArgs),
    /// Print an item of the library, a builtin or a data source with its documentation
    #[command(after_help = "\
Examples:
  nnc doc batch_norm
  nnc doc            the names of all")]
    Doc(DocArgs),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  nnc completions bash > ~/.local/share/bash-completion/completions/nnc")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which model, and with which constants.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// The model file.
    #[arg(value_name = "FILE.nn")]
    pub model: PathBuf,
    /// Replace the value of a `const` of the model; what is derived from it follows.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub overrides: Vec<String>,
    /// Samples per step, instead of the model's `batch`.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub batch: Option<usize>,
    /// Folder with the data's files, instead of `$NNC_DATA`, `./data` and the cache.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// How to compile and run.
#[derive(Args, Clone, Debug)]
pub struct MachineArgs {
    /// Threads; all of the machine's by default. Results do not depend on it.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Instructions to use; the best the machine has by default.
    #[arg(long, value_name = "ISA")]
    pub isa: Option<IsaChoice>,
    /// Where all randomness comes from, instead of the model's `seed`.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Where data comes from.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Never download.
    #[arg(long)]
    pub offline: bool,
}

/// `nnc run`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// The data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Passes over the training data, instead of the model's `epochs`.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub epochs: Option<usize>,
    /// Stop after so many steps.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub steps: Option<usize>,
    /// Run directory; `runs/<net>-<n>` by default.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start from saved weights instead of initial ones.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub weights: Option<PathBuf>,
    /// Go on where the run in `--out` stopped; the bits are those of a run without a break.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Print each epoch's and the final metrics as JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// `nnc check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `nnc dump`
#[derive(Args, Debug)]
pub struct DumpArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Which stage to show.
    #[arg(long, value_name = "STAGE", default_value = "graph")]
    pub stage: StageChoice,
    /// Which of the model's steps to show.
    #[arg(long, value_name = "PHASE", default_value = "train")]
    pub phase: PhaseChoice,
    /// Write every stage to a file of this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dot", "time"])]
    pub all: Option<PathBuf>,
    /// Show a graph stage in Graphviz' language.
    #[arg(long)]
    pub dot: bool,
    /// Show what each pass takes instead.
    #[arg(long, conflicts_with = "dot")]
    pub time: bool,
    /// Instructions to compile for; the best the machine has by default.
    #[arg(long, value_name = "ISA")]
    pub isa: Option<IsaChoice>,
}

/// `nnc eval`
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// The data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Saved weights.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Print the metrics as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `nnc predict`
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Saved weights.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Images (PNG, JPEG) or arrays (.npy), one or more.
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Print one JSON object a sample.
    #[arg(long)]
    pub json: bool,
}

/// `nnc generate`
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Saved weights.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// How the text begins; a line break by default.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prompt: String,
    /// How many characters to add.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one)]
    pub length: usize,
    /// Below 1 for safer choices, above for bolder ones; 0 always takes the likeliest.
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f64,
    /// Choose among the N likeliest alone.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub top_k: Option<usize>,
}

/// `nnc bench`
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Seconds to measure the training step for.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Show each kernel's time, work and memory traffic, beside what the machine allows.
    #[arg(long)]
    pub profile: bool,
    /// What --profile, --scaling and --trace look at.
    #[arg(long, value_name = "PROGRAM", default_value = "training")]
    pub of: Profiled,
    /// Show how each kernel's work would divide among more threads.
    #[arg(long)]
    pub scaling: bool,
    /// Show the step's time for smaller and larger batches.
    #[arg(long)]
    pub batches: bool,
    /// Show what each of the large choices is worth: the step without it.
    #[arg(long, conflicts_with = "without")]
    pub ablation: bool,
    /// Do without one of the large choices; may be given several times.
    #[arg(long, value_name = "CHOICE")]
    pub without: Vec<Choice>,
    /// Write what each thread does in a step as a Chrome trace: for the Performance panel of Chrome's
    /// developer tools, ui.perfetto.dev or speedscope.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `nnc fmt`
#[derive(Args, Debug)]
pub struct FmtArgs {
    /// Model files, or folders of them.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Only say which are not formatted.
    #[arg(long)]
    pub check: bool,
}

/// `nnc doc`
#[derive(Args, Debug)]
pub struct DocArgs {
    /// What to print; without it, what there is.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_have_limits() {
        assert!(Cli::try_parse_from(["nnc", "run", "x.nn", "--threads", "8"]).is_ok());
        for wrong in [
            ["--threads", "0"],
            ["--threads", "100000"],
            ["--batch", "0"],
            ["--steps", "-1"],
        ] {
            assert!(
                Cli::try_parse_from([["nnc", "run", "x.nn"].as_slice(), &wrong].concat()).is_err()
            );
        }
        assert!(Cli::try_parse_from(["nnc", "bench", "x.nn", "--seconds", "nan"]).is_err());
    }
}
