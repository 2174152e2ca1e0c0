//! An assembler of wide vectors: one vocabulary for 256-bit VEX and 512-bit EVEX
//! instructions, a pool of constants behind the code, and no relocations.

use iced_x86::code_asm::{
    AsmRegisterK, CodeAssembler, CodeLabel, dword_ptr, k1, k2, k3, k4, k5, k6, k7, ptr, registers,
};
use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::wide_ops::{Compare, Op2, Op3, OpImmediate};
use crate::bug::bug;
use crate::schedule::loops::MOST_TAILS;
use crate::target::Isa;

/// Position-independent code in the making.
pub(super) struct WideAsm {
    /// For what is no vector instruction.
    pub code: CodeAssembler,
    isa: Isa,
    /// How many lanes each of [`MASKS`] lets through.
    masks: Vec<usize>,
    pool: Vec<u32>,
    pool_label: CodeLabel,
    /// What is seldom done, behind the function's end.
    asides: Vec<Aside>,
}

/// An operation that stands elsewhere than where it is done.
struct Aside {
    begin: CodeLabel,
    back: CodeLabel,
    op: Op2,
    d: Vector,
    s: Vector,
}

/// A vector register, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Vector(pub u8);

/// An address: a register and bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub base: Register,
    pub offset: i64,
}

/// Registers for masks of tails; one is for comparisons, one for gathering and scattering.
const MASKS: [AsmRegisterK; MOST_TAILS] = [k1, k3, k5, k6, k7];

/// Register holding the address of the constants, once [`WideAsm::point_at_pool`] ran.
const POOL: Register = Register::RAX;

impl WideAsm {
    pub fn new(isa: Isa) -> WideAsm {
        let mut code = must(CodeAssembler::new(64));
        let pool_label = code.create_label();
        WideAsm {
            code,
            isa,
            masks: Vec::new(),
            pool: Vec::new(),
            pool_label,
            asides: Vec::new(),
        }
    }

    /// Ends the function and gives its bytes, constants included.
    pub fn finish(mut self) -> Vec<u8> {
        for mut aside in std::mem::take(&mut self.asides) {
            must(self.code.set_label(&mut aside.begin));
            self.op2(aside.op, aside.d, aside.s);
            must(self.code.jmp(aside.back));
        }
        if self.pool.is_empty() {
            self.pool.push(0);
        }
        must(self.code.set_label(&mut self.pool_label));
        must(self.code.dd(&self.pool));
        must(self.code.assemble(0))
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn lanes(&self) -> usize {
        self.isa.lanes()
    }

    pub fn vector_bytes(&self) -> i64 {
        self.isa.lanes() as i64 * 4
    }

    /// Makes constants addressable; needs to run before their first use.
    pub fn point_at_pool(&mut self) {
        must(self.code.lea(registers::gpr64::rax, ptr(self.pool_label)));
    }

    /// Where these words lie.
    pub fn constant(&mut self, words: &[u32]) -> At {
        let found = self.pool.windows(words.len()).position(|w| w == words);
        let start = found.unwrap_or_else(|| {
            self.pool.extend_from_slice(words);
            self.pool.len() - words.len()
        });
        At {
            base: POOL,
            offset: start as i64 * 4,
        }
    }

    /// Readies `load_first` and `store_first` for a `count` below the number of lanes.
    /// Takes RCX.
    pub fn set_tail(&mut self, count: usize) {
        if self.isa == Isa::Avx512 && count < self.lanes() && !self.masks.contains(&count) {
            let mask = MASKS[self.masks.len()];
            self.masks.push(count);
            must(self.code.mov(registers::gpr32::ecx, (1i32 << count) - 1));
            must(self.code.kmovw(mask, registers::gpr32::ecx));
        }
    }

    /// The mask register of the first `count` lanes.
    fn tail_register(&self, count: usize) -> Register {
        match self.masks.iter().position(|&known| known == count) {
            Some(position) => MASKS[position].into(),
            None => bug!("emit", "no mask of {count} lanes is set"),
        }
    }

    /// All ones in the first `count` lanes.
    pub fn first_lanes(&mut self, count: usize) -> At {
        let lanes = self.lanes();
        let words: Vec<u32> = (0..lanes)
            .map(|lane| if lane < count { u32::MAX } else { 0 })
            .collect();
        self.constant(&words)
    }

    /// Reads the first `count` lanes, the rest become zero. Needs `set_tail(count)`.
    pub fn load_first(&mut self, d: Vector, from: At, count: usize) {
        if count == self.lanes() {
            self.load(d, from);
        } else if self.isa == Isa::Avx512 {
            let mut load = must(Instruction::with2(
                Code::EVEX_Vmovups_zmm_k1z_zmmm512,
                self.register(d),
                from.operand(),
            ));
            load.set_op_mask(self.tail_register(count));
            load.set_zeroing_masking(true);
            self.add(load);
        } else {
            let mask = self.first_lanes(count);
            self.load(d, mask);
            let register = self.register(d);
            self.add(must(Instruction::with3(
                Code::VEX_Vmaskmovps_ymm_ymm_m256,
                register,
                register,
                from.operand(),
            )));
        }
    }

    /// Writes the first `count` lanes. Needs `set_tail(count)`; `scratch` may be overwritten.
    pub fn store_first(&mut self, to: At, s: Vector, count: usize, scratch: Vector) {
        if count == self.lanes() {
            self.store(to, s);
        } else if self.isa == Isa::Avx512 {
            let mut store = must(Instruction::with2(
                Code::EVEX_Vmovups_zmmm512_k1z_zmm,
                to.operand(),
                self.register(s),
            ));
            store.set_op_mask(self.tail_register(count));
            self.add(store);
        } else {
            let mask = self.first_lanes(count);
            self.load(scratch, mask);
            let (scratch, s) = (self.register(scratch), self.register(s));
            self.add(must(Instruction::with3(
                Code::VEX_Vmaskmovps_m256_ymm_ymm,
                to.operand(),
                scratch,
                s,
            )));
        }
    }

    pub fn load(&mut self, d: Vector, from: At) {
        let code = self.pick(
            Code::VEX_Vmovups_ymm_ymmm256,
            Code::EVEX_Vmovups_zmm_k1z_zmmm512,
        );
        let register = self.register(d);
        self.add(must(Instruction::with2(code, register, from.operand())));
    }

    pub fn store(&mut self, to: At, s: Vector) {
        let code = self.pick(
            Code::VEX_Vmovups_ymmm256_ymm,
            Code::EVEX_Vmovups_zmmm512_k1z_zmm,
        );
        let register = self.register(s);
        self.add(must(Instruction::with2(code, to.operand(), register)));
    }

    /// Asks for the cache line at an address, which need not be anyone's.
    pub fn prefetch(&mut self, from: At) {
        self.add(must(Instruction::with1(
            Code::Prefetcht0_m8,
            from.operand(),
        )));
    }

    /// Four lanes from memory become lanes `4 * part` and on; part 0 clears the others.
    /// `d` is one of the first 16 registers.
    pub fn load_part(&mut self, d: Vector, part: usize, from: At) {
        let register = self.register(d);
        let load = match part {
            0 => Instruction::with2(
                Code::VEX_Vmovups_xmm_xmmm128,
                Register::XMM0 + u32::from(d.0),
                from.operand(),
            ),
            _ => Instruction::with4(
                self.pick(
                    Code::VEX_Vinsertf128_ymm_ymm_xmmm128_imm8,
                    Code::EVEX_Vinsertf32x4_zmm_k1z_zmm_xmmm128_imm8,
                ),
                register,
                register,
                from.operand(),
                part as u32,
            ),
        };
        self.add(must(load));
    }

    /// One number into every lane.
    pub fn broadcast(&mut self, d: Vector, from: At) {
        let code = self.pick(
            Code::VEX_Vbroadcastss_ymm_m32,
            Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32,
        );
        let register = self.register(d);
        self.add(must(Instruction::with2(code, register, from.operand())));
    }

    pub fn zero(&mut self, d: Vector) {
        self.op3(Op3::Xor, d, d, d);
    }

    /// `d += a * b`, rounded once.
    pub fn multiply_add(&mut self, d: Vector, a: Vector, b: Vector) {
        let code = self.pick(
            Code::VEX_Vfmadd231ps_ymm_ymm_ymmm256,
            Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
        );
        self.add3(code, d, a, b);
    }

    /// `d = d * a + b`, rounded once.
    pub fn multiply_into(&mut self, d: Vector, a: Vector, b: Vector) {
        let code = self.pick(
            Code::VEX_Vfmadd213ps_ymm_ymm_ymmm256,
            Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
        );
        self.add3(code, d, a, b);
    }

    /// `d -= a * b`, rounded once.
    pub fn multiply_subtract(&mut self, d: Vector, a: Vector, b: Vector) {
        let code = self.pick(
            Code::VEX_Vfnmadd231ps_ymm_ymm_ymmm256,
            Code::EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
        );
        self.add3(code, d, a, b);
    }

    /// `d += a * (the number at b in every lane)`. 512-bit only.
    pub fn multiply_add_broadcast(&mut self, d: Vector, a: Vector, b: At) {
        let code = Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er;
        self.with_broadcast(code, d, a, b);
    }

    /// `d = d * x + number`, the number being read from memory for all lanes. 512-bit only.
    pub fn multiply_into_number(&mut self, d: Vector, x: Vector, number: At) {
        let code = Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er;
        self.with_broadcast(code, d, x, number);
    }

    /// `d = d * number + z`, the number being read from memory for all lanes. 512-bit only.
    pub fn multiply_by_number(&mut self, d: Vector, z: Vector, number: At) {
        let code = Code::EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er;
        self.with_broadcast(code, d, z, number);
    }

    /// `d = a op b`, `b` being one element of memory for all lanes. 512-bit only.
    pub fn op3_broadcast(&mut self, op: Op3, d: Vector, a: Vector, b: At) {
        self.with_broadcast(op.codes().1, d, a, b);
    }

    fn with_broadcast(&mut self, code: Code, d: Vector, a: Vector, b: At) {
        self.add(must(Instruction::with3(
            code,
            self.register(d),
            self.register(a),
            b.in_every_lane(),
        )));
    }

    /// Goes aside unless each lane of `s` is a number and not below `least`, to where
    /// [`WideAsm::otherwise`] will say. 512-bit only.
    pub fn unless_from(&mut self, s: Vector, least: f32) -> CodeLabel {
        /// Less or no number, silently.
        const NOT_GREATER_EQ: u32 = 0x19;
        let aside = self.code.create_label();
        let least = self.constant(&[least.to_bits()]).in_every_lane();
        self.add(must(Instruction::with4(
            Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae,
            Register::K2,
            self.register(s),
            least,
            NOT_GREATER_EQ,
        )));
        must(self.code.kortestw(k2, k2));
        must(self.code.jnz(aside));
        aside
    }

    /// What those who went aside do before they come back: `d = op s`.
    pub fn otherwise(&mut self, aside: CodeLabel, op: Op2, d: Vector, s: Vector) {
        let mut back = self.code.create_label();
        must(self.code.set_label(&mut back));
        // Labels point at instructions, each at its own.
        must(self.code.nop());
        self.asides.push(Aside {
            begin: aside,
            back,
            op,
            d,
            s,
        });
    }

    pub fn op3(&mut self, op: Op3, d: Vector, a: Vector, b: Vector) {
        let (narrow, wide) = op.codes();
        let code = self.pick(narrow, wide);
        self.add3(code, d, a, b);
    }

    pub fn op2(&mut self, op: Op2, d: Vector, a: Vector) {
        let (narrow, wide) = op.codes();
        let (d, a) = (self.register(d), self.register(a));
        let code = self.pick(narrow, wide);
        self.add(must(Instruction::with2(code, d, a)));
    }

    pub fn op_immediate(&mut self, op: OpImmediate, d: Vector, a: Vector, n: u32) {
        let (narrow, wide) = op.codes();
        let (d, a) = (self.register(d), self.register(a));
        let code = self.pick(narrow, wide);
        self.add(must(Instruction::with3(code, d, a, n)));
    }

    /// `d = all ones where a op b`; `d` is not `b`.
    pub fn compare(&mut self, op: Compare, d: Vector, a: Vector, b: Vector) {
        match self.isa {
            Isa::Avx512 => self.compare_masked(op, d, a, b),
            Isa::Avx2 | Isa::Portable => self.compare_plain(op, d, a, b),
        }
    }

    fn compare_masked(&mut self, op: Compare, d: Vector, a: Vector, b: Vector) {
        let code = if op.is_float() {
            Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae
        } else {
            Code::EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8
        };
        let (a, b) = (self.register(a), self.register(b));
        let predicate = op.predicate();
        self.add(must(Instruction::with4(
            code,
            Register::K2,
            a,
            b,
            predicate,
        )));
        let d = must(registers::get_zmm(self.register(d)).ok_or("no zmm"));
        must(self.code.vpmovm2d(d, k2));
    }

    fn compare_plain(&mut self, op: Compare, d: Vector, a: Vector, b: Vector) {
        match op {
            Compare::LessI => self.add3(Code::VEX_Vpcmpgtd_ymm_ymm_ymmm256, d, b, a),
            Compare::EqualI => self.add3(Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256, d, a, b),
            Compare::LessEqI => {
                // Where the greater of both is b.
                self.op3(Op3::MaxI, d, a, b);
                self.add3(Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256, d, d, b);
            }
            Compare::LessF | Compare::LessEqF | Compare::EqualF | Compare::OrderedF => {
                let (d, a, b) = (self.register(d), self.register(a), self.register(b));
                let code = Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8;
                self.add(must(Instruction::with4(code, d, a, b, op.predicate())));
            }
        }
    }

    /// `d = mask ? yes : no`, lane by lane; `d` is none of the operands but perhaps `mask`.
    pub fn select(&mut self, d: Vector, mask: Vector, yes: Vector, no: Vector) {
        let (rd, rm) = (self.register(d), self.register(mask));
        let (ry, rn) = (self.register(yes), self.register(no));
        if self.isa == Isa::Avx512 {
            if d != mask {
                self.op2(Op2::Move, d, mask);
            }
            /// Truth table of `first ? second : third`.
            const CHOOSE: u32 = 0xCA;
            let code = Code::EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8;
            self.add(must(Instruction::with4(code, rd, ry, rn, CHOOSE)));
        } else {
            let code = Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm;
            self.add(must(Instruction::with4(code, rd, rn, ry, rm)));
        }
    }

    /// Each lane of `d` becomes that of `s` at a power of two up or down: halves of the vector,
    /// quarters and so on change places.
    pub fn swap(&mut self, d: Vector, s: Vector, distance: usize) {
        /// The upper two of four come first, or in each pair the other.
        const HALVES: u32 = 0x4E;
        const PAIRS: u32 = 0xB1;
        let (code, order) = match (self.isa, distance) {
            (Isa::Avx512, 8) => (Code::EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8, HALVES),
            (Isa::Avx512, 4) => (Code::EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8, PAIRS),
            (Isa::Avx512, 2) => (Code::EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8, HALVES),
            (Isa::Avx512, _) => (Code::EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8, PAIRS),
            (_, 4) => (Code::VEX_Vperm2f128_ymm_ymm_ymmm256_imm8, 1),
            (_, 2) => (Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8, HALVES),
            (_, _) => (Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8, PAIRS),
        };
        let (d, s) = (self.register(d), self.register(s));
        self.add(must(Instruction::with4(code, d, s, s, order)));
    }

    /// Reads `lanes` elements, each `step` elements behind the last; the rest become zero.
    /// Needs `set_tail(lanes)`.
    pub fn gather(&mut self, d: Vector, from: At, step: i64, lanes: usize, scratch: [Vector; 2]) {
        let [places, mask] = scratch;
        self.apart(places, step);
        self.zero(d);
        let code = if self.isa == Isa::Avx512 {
            self.mask_for_apart(lanes);
            Code::EVEX_Vgatherdps_zmm_k1_vm32z
        } else {
            let all = self.first_lanes(lanes);
            self.load(mask, all);
            Code::VEX_Vgatherdps_ymm_vm32y_ymm
        };
        let (d, from) = (self.register(d), self.indexed(from, places));
        if self.isa == Isa::Avx512 {
            let mut gather = must(Instruction::with2(code, d, from));
            gather.set_op_mask(Register::K4);
            self.add(gather);
        } else {
            let mask = self.register(mask);
            self.add(must(Instruction::with3(code, d, from, mask)));
        }
    }

    /// Writes `lanes` elements, each `step` elements behind the last. Needs `set_tail(lanes)`;
    /// takes RDX and memory for a vector, `spare`.
    pub fn scatter(
        &mut self,
        to: At,
        s: Vector,
        step: i64,
        lanes: usize,
        scratch: [Vector; 2],
        spare: At,
    ) {
        if self.isa == Isa::Avx512 {
            self.apart(scratch[0], step);
            self.mask_for_apart(lanes);
            let (to, s) = (self.indexed(to, scratch[0]), self.register(s));
            let mut scatter = must(Instruction::with2(
                Code::EVEX_Vscatterdps_vm32z_k1_zmm,
                to,
                s,
            ));
            scatter.set_op_mask(Register::K4);
            return self.add(scatter);
        }
        self.store(spare, s);
        let spare_base = must(registers::get_gpr64(spare.base).ok_or("no register"));
        let base = must(registers::get_gpr64(to.base).ok_or("no register"));
        for lane in 0..lanes as i64 {
            let kept = spare_base + (spare.offset + lane * 4) as i32;
            let element = base + (to.offset + lane * step * 4) as i32;
            must(self.code.mov(registers::gpr32::edx, dword_ptr(kept)));
            must(self.code.mov(dword_ptr(element), registers::gpr32::edx));
        }
    }

    /// How many elements each lane lies behind the first.
    fn apart(&mut self, d: Vector, step: i64) {
        let lanes = 0..self.lanes() as i64;
        let places: Vec<u32> = lanes.map(|lane| (lane * step) as u32).collect();
        let at = self.constant(&places);
        self.load(d, at);
    }

    /// Gathering and scattering use their masks up.
    fn mask_for_apart(&mut self, lanes: usize) {
        if lanes == self.lanes() {
            must(self.code.kxnorw(k4, k4, k4));
        } else {
            let position = self.masks.iter().position(|&known| known == lanes);
            let Some(position) = position else {
                bug!("emit", "no mask of {lanes} lanes is set");
            };
            must(self.code.kmovw(k4, MASKS[position]));
        }
    }

    fn indexed(&self, at: At, places: Vector) -> MemoryOperand {
        MemoryOperand::new(
            at.base,
            self.register(places),
            4,
            at.offset,
            u32::from(at.offset != 0),
            false,
            Register::None,
        )
    }

    /// Writes the first lane.
    pub fn store_single(&mut self, to: At, s: Vector) {
        let code = self.pick(Code::VEX_Vmovss_m32_xmm, Code::EVEX_Vmovss_m32_k1_xmm);
        let register = Register::XMM0 + u32::from(s.0);
        self.add(must(Instruction::with2(code, to.operand(), register)));
    }

    fn add3(&mut self, code: Code, d: Vector, a: Vector, b: Vector) {
        let (d, a, b) = (self.register(d), self.register(a), self.register(b));
        self.add(must(Instruction::with3(code, d, a, b)));
    }

    fn add(&mut self, instruction: Instruction) {
        must(self.code.add_instruction(instruction));
    }

    fn pick(&self, narrow: Code, wide: Code) -> Code {
        match self.isa {
            Isa::Avx512 => wide,
            Isa::Avx2 | Isa::Portable => narrow,
        }
    }

    fn register(&self, vector: Vector) -> Register {
        let first = match self.isa {
            Isa::Avx512 => Register::ZMM0,
            Isa::Avx2 | Isa::Portable => Register::YMM0,
        };
        first + u32::from(vector.0)
    }
}

impl At {
    pub fn plus(self, bytes: i64) -> At {
        At {
            offset: self.offset + bytes,
            ..self
        }
    }

    fn operand(self) -> MemoryOperand {
        self.memory(false)
    }

    /// The number here, read into every lane by the instruction that uses it. 512-bit only.
    fn in_every_lane(self) -> MemoryOperand {
        self.memory(true)
    }

    fn memory(self, broadcast: bool) -> MemoryOperand {
        MemoryOperand::new(
            self.base,
            Register::None,
            1,
            self.offset,
            u32::from(self.offset != 0),
            broadcast,
            Register::None,
        )
    }
}

/// The assembler refuses only what no instruction can say, which is our fault.
pub(super) fn must<T>(result: Result<T, impl std::fmt::Display>) -> T {
    result.unwrap_or_else(|error| bug!("emit", "assembler: {error}"))
}
