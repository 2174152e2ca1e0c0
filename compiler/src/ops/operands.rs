//! The shape rules that several operations share.

use crate::graph::{DType, Type};
use crate::index::IndexExpr;

/// A type, or what is wrong with the operands.
pub type Inferred = Result<Type, String>;

/// Types that count.
pub const NUMBERS: &[DType] = &[DType::F32, DType::I32];
/// Real numbers alone.
pub const REALS: &[DType] = &[DType::F32];
/// Truth values alone.
pub const MASKS: &[DType] = &[DType::Bool];
/// All types.
pub const ANY: &[DType] = &[DType::F32, DType::I32, DType::Bool];

/// What a shape rule looks at.
pub struct Operands<'a> {
    /// Types of the operands.
    types: &'a [&'a Type],
    /// The type that the result is said to have, where that is known.
    given: Option<&'a Type>,
}

impl<'a> Operands<'a> {
    /// Operands, and perhaps the type of the result.
    pub fn new(types: &'a [&'a Type], given: Option<&'a Type>) -> Operands<'a> {
        Operands { types, given }
    }

    /// The operands' types, if there are as many as there should be.
    pub fn get<const N: usize>(&self) -> Result<[&'a Type; N], String> {
        self.types
            .try_into()
            .map_err(|_| format!("takes {N} operands, not {}", self.types.len()))
    }

    /// The operands' types, however many there are.
    pub fn all(&self) -> &'a [&'a Type] {
        self.types
    }

    /// The type that a leaf is given.
    pub fn leaf(&self) -> Inferred {
        let [] = self.get()?;
        self.given()
    }

    /// The given type of the result.
    pub fn given(&self) -> Inferred {
        self.given
            .cloned()
            .ok_or_else(|| "must be told its type".into())
    }

    /// `count` operands of one type; the result has it too.
    pub fn pointwise(&self, count: usize, allowed: &[DType]) -> Inferred {
        if self.types.len() != count {
            return Err(format!("takes {count} operands, not {}", self.types.len()));
        }
        if self.types.iter().any(|x| x != &self.types[0]) {
            return Err("takes operands of one type".into());
        }
        if !allowed.contains(&self.types[0].dtype) {
            return Err(format!("is not defined for {:?}", self.types[0].dtype));
        }
        Ok(self.types[0].clone())
    }

    /// Two operands of one type; the result is a mask.
    pub fn comparison(&self) -> Inferred {
        let shape = self.pointwise(2, NUMBERS)?.shape;
        Ok(Type {
            dtype: DType::Bool,
            shape,
        })
    }

    /// One operand, of which some axes (ascending) disappear.
    pub fn reduction(&self, axes: &[usize], allowed: &[DType]) -> Inferred {
        let mut ty = self.pointwise(1, allowed)?;
        let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
        let exist = axes.last().is_some_and(|&last| last < ty.shape.len());
        if !ascending || !exist {
            return Err(format!("cannot reduce axes {axes:?} of {:?}", ty.shape));
        }
        for &axis in axes.iter().rev() {
            ty.shape.remove(axis);
        }
        Ok(ty)
    }

    /// The result's type, if it is the given one and has elements.
    pub fn accept(&self, ty: Type) -> Inferred {
        if ty.shape.contains(&0) {
            return Err(format!("{:?} has an empty axis", ty.shape));
        }
        match self.given {
            Some(given) if *given != ty => Err(format!("is {ty:?}, not {given:?}")),
            _ => Ok(ty),
        }
    }
}

/// Whether a map over dimensions of `extents` can address an operand.
pub fn check_map(map: &[IndexExpr], extents: &[usize], operand: &[usize]) -> Result<(), String> {
    if map.len() != operand.len() {
        return Err(format!("has {} indices for {operand:?}", map.len()));
    }
    let valid =
        |e: &&IndexExpr| e.divisor >= 1 && e.terms.iter().all(|&(dim, _)| dim < extents.len());
    match map.iter().find(|e| !valid(e)) {
        Some(e) => Err(format!("has the index {e} over {extents:?}")),
        None => Ok(()),
    }
}
