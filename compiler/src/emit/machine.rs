//! Cranelift, set up for a target: CLIF in, machine code out. Functions are
//! independent of each other and compiled in parallel.

use super::unit::{Body, CodeFunction, CodeUnit, Effort, UNIT_NAMESPACE};
use crate::target::Target;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{self, ExternalName, LibCall};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa, TargetFrontendConfig};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, FinalizedMachReloc, FinalizedRelocTarget};
use rayon::prelude::*;
use std::sync::Arc;

/// Cranelift's configuration for a target, once for each [`Effort`].
#[derive(Clone)]
pub struct Machine {
    verbatim: OwnedTargetIsa,
    optimized: OwnedTargetIsa,
}

/// Machine code of one function, not yet at an address.
#[derive(Clone)]
pub struct MachineFunction {
    /// Of the function it came from.
    pub name: String,
    /// The code.
    pub bytes: Vec<u8>,
    /// Of its start, in bytes.
    pub alignment: u64,
    /// What to patch once addresses are known.
    pub relocations: Vec<Relocation>,
}

/// A place in a function's code that holds an address.
#[derive(Clone)]
pub struct Relocation {
    /// Bytes from the start of the function.
    pub offset: u32,
    /// How the address is written.
    pub kind: Reloc,
    /// Added to the address.
    pub addend: i64,
    /// Whose address.
    pub callee: Callee,
}

/// What a relocation points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// The function at this position of the same unit.
    Unit(usize),
    /// A place in the function itself.
    Within(u32),
    /// A routine of the C library that stands in for a missing instruction.
    Library(LibCall),
}

impl Machine {
    /// Sets Cranelift up.
    pub fn new(target: &Target) -> Machine {
        Machine {
            verbatim: isa(target, "none"),
            optimized: isa(target, "speed"),
        }
    }

    /// What builders of CLIF need to know: how kernels are called, how wide a pointer is.
    pub fn config(&self) -> TargetFrontendConfig {
        self.verbatim.frontend_config()
    }

    /// How kernels are called on this machine.
    pub fn call_conv(&self) -> CallConv {
        self.config().default_call_conv
    }

    /// The configuration that the linker needs.
    pub fn isa(&self) -> OwnedTargetIsa {
        Arc::clone(&self.verbatim)
    }

    /// Compiles all functions of all units, in parallel on the current thread pool.
    pub fn compile(&self, units: Vec<CodeUnit>) -> Vec<Vec<MachineFunction>> {
        let lengths: Vec<usize> = units.iter().map(|unit| unit.functions.len()).collect();
        let mut compiled = units
            .into_par_iter()
            .flat_map_iter(|unit| unit.functions)
            .map_init(Context::new, |context, function| {
                self.compile_one(context, function)
            })
            .collect::<Vec<_>>()
            .into_iter();
        lengths
            .into_iter()
            .map(|length| compiled.by_ref().take(length).collect())
            .collect()
    }

    fn compile_one(&self, context: &mut Context, function: CodeFunction) -> MachineFunction {
        let name = function.name;
        let (clif, effort) = match function.body {
            Body::Clif(clif, effort) => (clif, effort),
            Body::Bytes(bytes) => {
                return MachineFunction {
                    name,
                    bytes,
                    alignment: 64,
                    relocations: Vec::new(),
                };
            }
        };
        context.clear();
        context.func = *clif;
        let isa = match effort {
            Effort::Verbatim => &self.verbatim,
            Effort::Optimized => &self.optimized,
        };
        let compiled = context
            .compile(&**isa, &mut ControlPlane::default())
            .unwrap_or_else(|error| panic!("emit: {name}: {:?}", error.inner));
        let alignment =
            u64::from(compiled.buffer.alignment).max(u64::from(isa.function_alignment().preferred));
        let bytes = compiled.code_buffer().to_vec();
        let relocations = compiled.buffer.relocs().to_vec();
        MachineFunction {
            name,
            bytes,
            alignment,
            relocations: relocations
                .iter()
                .map(|reloc| relocation(reloc, &context.func))
                .collect(),
        }
    }
}

fn isa(target: &Target, opt_level: &str) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", opt_level),
        ("regalloc_algorithm", "backtracking"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
        ("enable_probestack", "false"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
    ] {
        flags
            .set(name, value)
            .unwrap_or_else(|error| panic!("emit: flag {name}: {error}"));
    }
    let mut builder = cranelift_native::builder_with_options(false)
        .unwrap_or_else(|error| panic!("emit: no code for this machine: {error}"));
    for feature in &target.features {
        builder
            .enable(feature)
            .unwrap_or_else(|error| panic!("emit: feature {feature}: {error}"));
    }
    builder
        .finish(settings::Flags::new(flags))
        .unwrap_or_else(|error| panic!("emit: {error}"))
}

fn relocation(reloc: &FinalizedMachReloc, function: &ir::Function) -> Relocation {
    let callee = match &reloc.target {
        FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
            let name = &function.params.user_named_funcs()[*name];
            assert_eq!(
                name.namespace, UNIT_NAMESPACE,
                "emit: names mean positions in the unit"
            );
            Callee::Unit(name.index as usize)
        }
        FinalizedRelocTarget::ExternalName(ExternalName::LibCall(call)) => Callee::Library(*call),
        FinalizedRelocTarget::Func(offset) => Callee::Within(*offset),
        FinalizedRelocTarget::ExternalName(name) => panic!("emit: nothing refers to {name:?}"),
    };
    Relocation {
        offset: reloc.offset,
        kind: reloc.kind,
        addend: reloc.addend,
        callee,
    }
}
