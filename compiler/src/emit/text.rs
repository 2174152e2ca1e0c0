//! Code as text, for `nnc dump`: deterministic, without addresses.

use super::machine::{Callee, MachineFunction};
use super::unit::{Body, CodeUnit};
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};
use std::fmt::Write;

/// The functions of a unit before they are compiled. Those that are machine code
/// already are named with their size.
pub fn clif(unit: &CodeUnit) -> String {
    let functions = unit.functions.iter().map(|function| match &function.body {
        Body::Clif(clif, _) => format!("; {}\n{}", function.name, clif.display()),
        Body::Bytes(bytes) => format!(
            "; {}\n; {} bytes of machine code\n",
            function.name,
            bytes.len()
        ),
    });
    functions.collect::<Vec<_>>().join("\n")
}

/// The functions of a unit in assembly.
pub fn asm(unit: &[MachineFunction]) -> String {
    let functions = unit.iter().map(disassemble);
    functions.collect::<Vec<_>>().join("\n")
}

/// Offsets and instructions; where a function is called, its position in the unit.
#[cfg(target_arch = "x86_64")]
fn disassemble(function: &MachineFunction) -> String {
    let mut text = format!("; {}\n", function.name);
    let mut formatter = NasmFormatter::new();
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_rip_relative_addresses(true);
    for instruction in &mut Decoder::new(64, &function.bytes, DecoderOptions::NONE) {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let place = instruction.ip()..instruction.next_ip();
        let callee = function
            .relocations
            .iter()
            .find(|relocation| place.contains(&u64::from(relocation.offset)))
            .map_or(String::new(), |relocation| {
                format!(" ; {}", name(relocation.callee))
            });
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:5x}  {line}{callee}", instruction.ip());
    }
    text
}

/// There is no disassembler for other machines here: the bytes, sixteen a line.
#[cfg(not(target_arch = "x86_64"))]
fn disassemble(function: &MachineFunction) -> String {
    let mut text = format!("; {}\n", function.name);
    for (line, bytes) in function.bytes.chunks(16).enumerate() {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "{:5x}  {}", line * 16, bytes.join(" "));
    }
    text
}

fn name(callee: Callee) -> String {
    match callee {
        Callee::Unit(position) => format!("function {position}"),
        Callee::Within(offset) => format!("here+{offset:x}"),
        Callee::Library(call) => call.to_string(),
    }
}
