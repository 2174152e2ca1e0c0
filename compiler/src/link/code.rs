//! Machine code in executable memory: where it is put, and who frees it.

use crate::emit::{Callee, Machine, MachineFunction, kernel_signature};
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{
    FuncId, Linkage, Module, ModuleReloc, ModuleRelocTarget, default_libcall_names,
};
use nnc_runtime::program::KernelFn;
use std::sync::Arc;

/// Owns executable memory. The entries that [`load`] gave are valid as long as it lives.
pub struct Code {
    /// There until it is dropped.
    module: Option<JITModule>,
}

// SAFETY: nothing can be done with a shared `Code`: it has no method that takes
// `&self`, its field is private, and machine code is only ever read.
unsafe impl Sync for Code {}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: a `Program` holds its `Code` beside the pointers into it, and whoever
            // runs a program borrows it: when the last owner goes, no kernel runs and
            // no pointer is left.
            unsafe { module.free_memory() };
        }
    }
}

/// Puts compiled units into executable memory; gives the entry of each.
pub fn load(machine: &Machine, units: &[Vec<MachineFunction>]) -> (Arc<Code>, Vec<KernelFn>) {
    let mut builder = JITBuilder::with_isa(machine.isa(), default_libcall_names());
    let memory = ArenaMemoryProvider::new_with_size(reserve(units))
        .unwrap_or_else(|error| panic!("link: no memory for code: {error}"));
    builder.memory_provider(Box::new(memory));
    let mut module = JITModule::new(builder);
    let ids: Vec<Vec<FuncId>> = units
        .iter()
        .enumerate()
        .map(|(number, unit)| declare(&mut module, machine, number, unit))
        .collect();
    for (unit, ids) in units.iter().zip(&ids) {
        for (function, &id) in unit.iter().zip(ids) {
            let relocations = relocations(function, id, ids);
            module
                .define_function_bytes(id, function.alignment, &function.bytes, &relocations)
                .unwrap_or_else(|error| panic!("link: {}: {error}", function.name));
        }
    }
    module
        .finalize_definitions()
        .unwrap_or_else(|error| panic!("link: {error}"));
    let entries = ids
        .iter()
        .map(|ids| kernel(module.get_finalized_function(ids[0])))
        .collect();
    let code = Code {
        module: Some(module),
    };
    (Arc::new(code), entries)
}

/// Enough for all code with its alignment, and a page for the rest.
fn reserve(units: &[Vec<MachineFunction>]) -> usize {
    let page = 1 << 14;
    let functions = units.iter().flatten();
    let bytes: usize = functions
        .map(|function| function.bytes.len() + function.alignment as usize)
        .sum();
    (bytes + page).next_multiple_of(page)
}

/// Names are unique and tell a profiler which kernel it is in.
fn declare(
    module: &mut JITModule,
    machine: &Machine,
    number: usize,
    unit: &[MachineFunction],
) -> Vec<FuncId> {
    let signature = kernel_signature(machine.config().default_call_conv);
    unit.iter()
        .enumerate()
        .map(|(position, function)| {
            let name = format!("{}.{number}.{position}", function.name);
            module
                .declare_function(&name, Linkage::Local, &signature)
                .unwrap_or_else(|error| panic!("link: {name}: {error}"))
        })
        .collect()
}

fn relocations(function: &MachineFunction, own: FuncId, unit: &[FuncId]) -> Vec<ModuleReloc> {
    function
        .relocations
        .iter()
        .map(|relocation| ModuleReloc {
            offset: relocation.offset,
            kind: relocation.kind,
            addend: relocation.addend,
            name: match relocation.callee {
                Callee::Unit(position) => ModuleRelocTarget::from(unit[position]),
                Callee::Within(offset) => ModuleRelocTarget::FunctionOffset(own, offset),
                Callee::Library(call) => ModuleRelocTarget::LibCall(call),
            },
        })
        .collect()
}

fn kernel(address: *const u8) -> KernelFn {
    // SAFETY: the first function of a unit is its entry, and every emitter gives entries the
    // signature of a kernel (`kernel_signature`) in this machine's C calling convention.
    unsafe { std::mem::transmute::<*const u8, KernelFn>(address) }
}
