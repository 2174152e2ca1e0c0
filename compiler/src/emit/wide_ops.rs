//! What wide vectors can do: each operation with its 256-bit VEX and its 512-bit EVEX
//! instruction.

use iced_x86::Code::{self, *};

/// `d = a op b`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op3 {
    AddF,
    SubF,
    MulF,
    DivF,
    MaxF,
    MinF,
    AddI,
    SubI,
    MulI,
    MaxI,
    MinI,
    And,
    Or,
    Xor,
    /// In every four lanes: those of a and b in turn, from the lower or upper two.
    InterleaveLow,
    InterleaveHigh,
    /// The same with pairs of lanes.
    PairsLow,
    PairsHigh,
}

/// `d = op a`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op2 {
    Move,
    Sqrt,
    /// An estimate of `1 / sqrt`, to 14 bits; 512-bit only.
    ReciprocalRoot,
    AbsI,
    IntToFloat,
    /// Towards zero; out of range and NaN give `i32::MIN`.
    FloatToInt,
}

/// `d = op a, n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OpImmediate {
    ShiftLeft,
    ShiftRight,
    /// 1: down, 0: to nearest even.
    Round,
}

/// A comparison; the result is all ones where it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compare {
    LessF,
    LessEqF,
    EqualF,
    /// Neither is NaN.
    OrderedF,
    LessI,
    LessEqI,
    EqualI,
}

impl Op3 {
    /// The two instructions.
    pub fn codes(self) -> (Code, Code) {
        match self {
            Op3::AddF => (
                VEX_Vaddps_ymm_ymm_ymmm256,
                EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
            ),
            Op3::SubF => (
                VEX_Vsubps_ymm_ymm_ymmm256,
                EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
            ),
            Op3::MulF => (
                VEX_Vmulps_ymm_ymm_ymmm256,
                EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
            ),
            Op3::DivF => (
                VEX_Vdivps_ymm_ymm_ymmm256,
                EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
            ),
            Op3::MaxF => (
                VEX_Vmaxps_ymm_ymm_ymmm256,
                EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
            ),
            Op3::MinF => (
                VEX_Vminps_ymm_ymm_ymmm256,
                EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
            ),
            Op3::AddI => (
                VEX_Vpaddd_ymm_ymm_ymmm256,
                EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::SubI => (
                VEX_Vpsubd_ymm_ymm_ymmm256,
                EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::MulI => (
                VEX_Vpmulld_ymm_ymm_ymmm256,
                EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::MaxI => (
                VEX_Vpmaxsd_ymm_ymm_ymmm256,
                EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::MinI => (
                VEX_Vpminsd_ymm_ymm_ymmm256,
                EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::And => (
                VEX_Vpand_ymm_ymm_ymmm256,
                EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::Or => (VEX_Vpor_ymm_ymm_ymmm256, EVEX_Vpord_zmm_k1z_zmm_zmmm512b32),
            Op3::Xor => (
                VEX_Vpxor_ymm_ymm_ymmm256,
                EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::InterleaveLow => (
                VEX_Vunpcklps_ymm_ymm_ymmm256,
                EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::InterleaveHigh => (
                VEX_Vunpckhps_ymm_ymm_ymmm256,
                EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32,
            ),
            Op3::PairsLow => (
                VEX_Vunpcklpd_ymm_ymm_ymmm256,
                EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64,
            ),
            Op3::PairsHigh => (
                VEX_Vunpckhpd_ymm_ymm_ymmm256,
                EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64,
            ),
        }
    }
}

impl Op2 {
    /// The two instructions.
    pub fn codes(self) -> (Code, Code) {
        match self {
            Op2::Move => (VEX_Vmovaps_ymm_ymmm256, EVEX_Vmovaps_zmm_k1z_zmmm512),
            Op2::Sqrt => (VEX_Vsqrtps_ymm_ymmm256, EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er),
            Op2::ReciprocalRoot => (INVALID, EVEX_Vrsqrt14ps_zmm_k1z_zmmm512b32),
            Op2::AbsI => (VEX_Vpabsd_ymm_ymmm256, EVEX_Vpabsd_zmm_k1z_zmmm512b32),
            Op2::IntToFloat => (
                VEX_Vcvtdq2ps_ymm_ymmm256,
                EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
            ),
            Op2::FloatToInt => (
                VEX_Vcvttps2dq_ymm_ymmm256,
                EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae,
            ),
        }
    }
}

impl OpImmediate {
    /// The two instructions.
    pub fn codes(self) -> (Code, Code) {
        match self {
            OpImmediate::ShiftLeft => {
                (VEX_Vpslld_ymm_ymm_imm8, EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8)
            }
            OpImmediate::ShiftRight => {
                (VEX_Vpsrld_ymm_ymm_imm8, EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8)
            }
            OpImmediate::Round => (
                VEX_Vroundps_ymm_ymmm256_imm8,
                EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae,
            ),
        }
    }
}

impl Compare {
    pub fn is_float(self) -> bool {
        match self {
            Compare::LessF | Compare::LessEqF | Compare::EqualF | Compare::OrderedF => true,
            Compare::LessI | Compare::LessEqI | Compare::EqualI => false,
        }
    }

    /// As instructions number them. Those of floats are silent on NaN, and false but for the last.
    pub fn predicate(self) -> u32 {
        match self {
            Compare::EqualF => 0x00,
            Compare::LessF => 0x11,
            Compare::LessEqF => 0x12,
            Compare::OrderedF => 0x07,
            Compare::EqualI => 0,
            Compare::LessI => 1,
            Compare::LessEqI => 2,
        }
    }
}
