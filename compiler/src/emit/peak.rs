//! A kernel that does nothing but multiply and add, as fast as an instruction set
//! can: the limit that measurements are held against.

use cranelift_codegen::ir::{self, InstBuilder, UserFuncName, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use iced_x86::code_asm::registers::gpr64;

use super::count::Count;
use super::tile::tile_signature;
use super::unit::{
    Body, CodeFunction, CodeUnit, Effort, begin_kernel, end_kernel, import, kernel_function,
};
use super::wide_asm::{Vector, WideAsm, must};
use crate::target::Isa;

/// Floating-point operations of one task of [`peak`].
pub fn peak_flop(isa: Isa) -> u64 {
    2 * ROUNDS as u64 * SUMS as u64 * isa.lanes() as u64
}

/// A kernel without arguments.
pub fn peak(isa: Isa, config: TargetFrontendConfig) -> CodeUnit {
    let body = match isa {
        Isa::Portable => Body::Clif(Box::new(portable(config)), Effort::Verbatim),
        Isa::Avx2 | Isa::Avx512 => Body::Bytes(wide(isa)),
    };
    let function = |name: &str, body: Body| CodeFunction {
        name: name.to_owned(),
        body,
    };
    let driver = Body::Clif(Box::new(driver(config)), Effort::Optimized);
    CodeUnit {
        functions: vec![function("peak", driver), function("peak_rounds", body)],
    }
}

/// Independent sums: enough for two units of five cycles, and registers for all of them.
const SUMS: usize = 12;

/// How often a task adds to each sum: some tens of microseconds in all.
const ROUNDS: i64 = 10_000;

/// Calls the rounds once for each task.
fn driver(config: TargetFrontendConfig) -> ir::Function {
    let mut function = kernel_function(config);
    let rounds = import(&mut function, 1, tile_signature());
    let mut context = FunctionBuilderContext::new();
    let (mut b, [table, begin, end]) = begin_kernel(&mut function, &mut context);
    let tasks = Count::begin(&mut b, begin, end);
    b.ins().call(rounds, &[table]);
    tasks.end(&mut b);
    end_kernel(b, config);
    function
}

fn wide(isa: Isa) -> Vec<u8> {
    let mut asm = WideAsm::new(isa);
    let vectors: Vec<Vector> = (0..=SUMS as u8).map(Vector).collect();
    let (factor, sums) = (vectors[SUMS], &vectors[..SUMS]);
    for &vector in &vectors {
        asm.zero(vector);
    }
    must(asm.code.mov(gpr64::rcx, ROUNDS));
    let mut again = asm.code.create_label();
    must(asm.code.set_label(&mut again));
    for &sum in sums {
        asm.multiply_add(sum, factor, factor);
    }
    must(asm.code.dec(gpr64::rcx));
    must(asm.code.jnz(again));
    must(asm.code.vzeroupper());
    must(asm.code.ret());
    asm.finish()
}

fn portable(config: TargetFrontendConfig) -> ir::Function {
    let mut function = ir::Function::with_name_signature(UserFuncName::default(), tile_signature());
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let (again, after) = (b.create_block(), b.create_block());
    let zero = b.ins().f32const(0.0);
    let factor = b.ins().splat(types::F32X4, zero);
    let rounds = b.ins().iconst(types::I64, ROUNDS);
    b.append_block_param(again, types::I64);
    let mut start: Vec<ir::BlockArg> = vec![rounds.into()];
    for _ in 0..SUMS {
        b.append_block_param(again, types::F32X4);
        start.push(factor.into());
    }
    b.ins().jump(again, &start);
    b.switch_to_block(again);
    let inside = b.block_params(again).to_vec();
    let rest = b.ins().iadd_imm_s(inside[0], -1);
    // The code generator ties the result to the first factor.
    let sums = inside[1..]
        .iter()
        .map(|&sum| b.ins().fma(sum, factor, factor).into());
    let next: Vec<ir::BlockArg> = std::iter::once(rest.into())
        .chain(sums.collect::<Vec<_>>())
        .collect();
    b.ins().brif(rest, again, &next, after, &[]);
    b.switch_to_block(after);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
    function
}
