//! Kernels without scalars that nothing needs.

use super::{Kernel, Scalar, ScalarId, ScalarPool, Stage};

impl Kernel {
    /// The same kernel, each scalar once and only if a stage needs it. What a
    /// reduction combines comes before its result.
    pub fn tidied(mut self) -> Kernel {
        let mut tidy = Tidy {
            kernel: &self,
            pool: ScalarPool::default(),
            ids: vec![None; self.scalars.len()],
        };
        let values: Vec<ScalarId> = self
            .stages
            .iter()
            .map(|stage| tidy.add(stage.value()))
            .collect();
        let scalars = tidy.pool.finish();
        for (stage, new) in self.stages.iter_mut().zip(values) {
            let (Stage::Reduce { value, .. } | Stage::Store { value, .. }) = stage;
            *value = new;
        }
        Kernel { scalars, ..self }
    }
}

struct Tidy<'a> {
    kernel: &'a Kernel,
    pool: ScalarPool,
    ids: Vec<Option<ScalarId>>,
}

impl Tidy<'_> {
    fn add(&mut self, id: ScalarId) -> ScalarId {
        if let Some(known) = self.ids[id.index()] {
            return known;
        }
        let scalar = &self.kernel.scalars[id.index()];
        if let Scalar::Reduced(stage) = scalar {
            self.add(self.kernel.stages[*stage].value());
        }
        let operands: Vec<(ScalarId, ScalarId)> = scalar
            .operands()
            .into_iter()
            .map(|old| (old, self.add(old)))
            .collect();
        let moved = scalar.with_operands(|old| {
            let found = operands.iter().find(|&&(known, _)| known == old);
            found.map_or(old, |&(_, new)| new)
        });
        let new = self.pool.add(moved);
        self.ids[id.index()] = Some(new);
        new
    }
}
