//! The tiers in priority order, found at run time, and `GATEMILL_ISA`, which forces one.

/// An instruction-set tier: a bundle of features detected together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, DQ, BW, VL: sixteen lanes in one register.
    Avx512,
    /// AVX2 and FMA: sixteen lanes in two registers.
    Avx2,
    /// What `wide` and `matrixmultiply` make of the build target.
    Portable,
}

/// A forced tier that can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// Not a tier's name.
    #[error("GATEMILL_ISA={0}: no such tier; it is one of avx512, avx2, portable")]
    Unknown(String),
    /// A tier that this CPU lacks.
    #[error("GATEMILL_ISA={0}: this CPU (or the system on it) lacks that tier; the best it has is {1}")]
    Absent(&'static str, &'static str),
}

impl Isa {
    /// All tiers, best first.
    pub const ALL: [Isa; 3] = [Isa::Avx512, Isa::Avx2, Isa::Portable];

    /// The name that `GATEMILL_ISA` takes and reports show.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// What it is made of, each with whether this CPU and system have it. Empty for the portable tier, which asks for
    /// nothing, and for a tier of another kind of CPU.
    pub fn features(self) -> Vec<(&'static str, bool)> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => crate::arch::avx512::features().to_vec(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => crate::arch::avx2::features().to_vec(),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => Vec::new(),
            Isa::Portable => Vec::new(),
        }
    }

    /// Whether this CPU and system run it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => crate::arch::avx512::detected(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => crate::arch::avx2::detected(),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => false,
            Isa::Portable => true,
        }
    }

    /// The best tier of this machine.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// The tier that `GATEMILL_ISA` names, or the best. Errors: an unknown or absent tier.
    pub fn from_env() -> Result<Isa, IsaError> {
        match std::env::var_os("GATEMILL_ISA") {
            None => Ok(Isa::best()),
            Some(name) => Isa::parse(&name.to_string_lossy()),
        }
    }

    /// The tier with this name. Errors: as `from_env`.
    pub fn parse(name: &str) -> Result<Isa, IsaError> {
        let isa = Isa::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(|| IsaError::Unknown(name.into()))?;
        if isa.is_available() { Ok(isa) } else { Err(IsaError::Absent(isa.name(), Isa::best().name())) }
    }
}
