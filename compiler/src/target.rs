//! The machine that code is made for: an input of compilation like the source.
//! The same source and the same target give the same bytes.

use std::fmt;
use std::str::FromStr;

/// What the code generator may count on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// Which form the wide tiles take.
    pub isa: Isa,
    /// CPU features that the code generator for everything else may use, by the
    /// names of its settings: `has_avx`.
    pub features: Vec<&'static str>,
    /// What to do without, to see what it is worth.
    pub without: Without,
}

/// Large choices that can be left out. The results stay right, they only come later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Without {
    /// Every operation is a pass over memory of its own.
    pub fusion: bool,
    /// Convolutions read matrices into which all their windows were copied before.
    pub direct_convolution: bool,
    /// Each tensor has memory of its own, also when others are not used any more.
    pub sharing: bool,
}

/// The instruction set of wide tiles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Isa {
    /// Tiles of 128-bit vectors by the portable code generator, for any CPU.
    Portable,
    /// 256-bit tiles: AVX2 and FMA.
    Avx2,
    /// 512-bit tiles: AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Target {
    /// This machine, with the widest tiles that it runs.
    pub fn host() -> Target {
        Target {
            isa: host_isa(),
            features: host_features(),
            without: Without::default(),
        }
    }

    /// This machine, with tiles no wider than `isa`.
    pub fn host_with(isa: Isa) -> Target {
        let host = Target::host();
        Target {
            isa: isa.min(host.isa),
            ..host
        }
    }

    /// First-level data cache of one core. Assumed by the instruction set and not
    /// measured, so that machines of a kind compute the same bits.
    pub fn l1_bytes(&self) -> usize {
        match self.isa {
            Isa::Portable | Isa::Avx2 => 32 << 10,
            Isa::Avx512 => 48 << 10,
        }
    }

    /// Second-level cache of one core.
    pub fn l2_bytes(&self) -> usize {
        match self.isa {
            Isa::Portable | Isa::Avx2 => 512 << 10,
            Isa::Avx512 => 1 << 20,
        }
    }
}

impl Isa {
    /// All of them, narrowest first.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// How many f32 one vector register of a tile holds.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable => 4,
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }

    /// How many vector registers there are.
    pub fn registers(self) -> usize {
        match self {
            Isa::Portable | Isa::Avx2 => 16,
            Isa::Avx512 => 32,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(text: &str) -> Result<Isa, String> {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.to_string() == text)
            .ok_or_else(|| format!("`{text}` is none of portable, avx2, avx512"))
    }
}

#[cfg(target_arch = "x86_64")]
fn host_isa() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        (false, _) => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn host_isa() -> Isa {
    Isa::Portable
}

/// AVX-512 is left out: the code generator uses little of it, and nothing that helps f32.
#[cfg(target_arch = "x86_64")]
fn host_features() -> Vec<&'static str> {
    [
        ("has_sse3", is_x86_feature_detected!("sse3")),
        ("has_ssse3", is_x86_feature_detected!("ssse3")),
        ("has_cmpxchg16b", is_x86_feature_detected!("cmpxchg16b")),
        ("has_sse41", is_x86_feature_detected!("sse4.1")),
        ("has_sse42", is_x86_feature_detected!("sse4.2")),
        ("has_popcnt", is_x86_feature_detected!("popcnt")),
        ("has_avx", is_x86_feature_detected!("avx")),
        ("has_avx2", is_x86_feature_detected!("avx2")),
        ("has_fma", is_x86_feature_detected!("fma")),
        ("has_bmi1", is_x86_feature_detected!("bmi1")),
        ("has_bmi2", is_x86_feature_detected!("bmi2")),
        ("has_lzcnt", is_x86_feature_detected!("lzcnt")),
    ]
    .into_iter()
    .filter_map(|(name, detected)| detected.then_some(name))
    .collect()
}

/// Advanced SIMD with fused multiply-add is part of every aarch64 that std runs on.
#[cfg(not(target_arch = "x86_64"))]
fn host_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_isas_read_back() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse::<Isa>().unwrap(), isa);
        }
        assert!("sse".parse::<Isa>().unwrap_err().contains("`sse`"));
    }

    #[test]
    fn forcing_narrows_and_never_widens() {
        let host = Target::host();
        assert_eq!(Target::host_with(Isa::Portable).isa, Isa::Portable);
        assert_eq!(Target::host_with(Isa::Avx512).isa, host.isa);
    }
}
