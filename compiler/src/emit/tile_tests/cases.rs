//! Contractions to compile: products, convolutions and their gradients.

use crate::graph::{DType, Origin};
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, Buffer, BufferId, Combine, Kernel, Role, Scalar, ScalarId, Stage};
use crate::schedule::Layout;

/// A kernel with its buffers.
#[derive(Clone)]
pub struct Case {
    pub kernel: Kernel,
    pub buffers: Vec<Buffer>,
    pub layouts: Vec<Layout>,
}

/// `a[..] * b[..]` summed over all dimensions from `outer` on; buffers 0 and 1 are the
/// operands, 2 the result, whose axes are the outer dimensions.
pub fn contraction(
    dims: &[usize],
    outer: usize,
    a: (Layout, Vec<IndexExpr>),
    b: (Layout, Vec<IndexExpr>),
    result: Layout,
) -> Case {
    let load = |buffer: u32, at: Vec<IndexExpr>| Scalar::Load {
        buffer: BufferId(buffer),
        at,
        fill: Some(0.0),
    };
    let mut case = Case {
        kernel: Kernel {
            name: "contraction".to_string(),
            dims: dims.to_vec(),
            outer,
            scalars: vec![
                load(0, a.1),
                load(1, b.1),
                Scalar::Binary(BinaryOp::Mul, ScalarId(0), ScalarId(1)),
                Scalar::Reduced(0),
            ],
            stages: vec![Stage::Reduce {
                over: (outer..dims.len()).collect(),
                combine: Combine::Sum,
                value: ScalarId(2),
            }],
            origin: Origin {
                span: None,
                path: String::new(),
            },
            instead: None,
        },
        buffers: Vec::new(),
        layouts: Vec::new(),
    };
    case.buffer(DType::F32, a.0);
    case.buffer(DType::F32, b.0);
    case.buffer(DType::F32, result);
    case.store(BufferId(2), ScalarId(3));
    case
}

impl Case {
    /// All tensors.
    pub fn ids(&self) -> impl Iterator<Item = BufferId> + use<> {
        (0..self.buffers.len() as u32).map(BufferId)
    }

    /// Adds a tensor.
    pub fn buffer(&mut self, dtype: DType, layout: Layout) -> BufferId {
        self.buffers.push(Buffer {
            dtype,
            extents: layout.extents.clone(),
            role: Role::Temporary,
        });
        self.layouts.push(layout);
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Adds a scalar.
    pub fn push(&mut self, scalar: Scalar) -> ScalarId {
        self.kernel.scalars.push(scalar);
        ScalarId(self.kernel.scalars.len() as u32 - 1)
    }

    pub fn binary(&mut self, op: BinaryOp, x: ScalarId, y: ScalarId) -> ScalarId {
        self.push(Scalar::Binary(op, x, y))
    }

    /// A load at the outer dimensions of these numbers.
    pub fn load(&mut self, buffer: BufferId, dims: &[Dim]) -> ScalarId {
        let at = dims.iter().map(|&dim| IndexExpr::dim(dim)).collect();
        self.push(Scalar::Load {
            buffer,
            at,
            fill: None,
        })
    }

    /// Writes at the point of all outer dimensions.
    pub fn store(&mut self, buffer: BufferId, value: ScalarId) {
        self.kernel.stages.push(Stage::Store {
            over: Vec::new(),
            buffer,
            at: (0..self.kernel.outer).map(IndexExpr::dim).collect(),
            value,
        });
    }

    /// The position of the result's store, whose value an epilogue replaces.
    pub fn set_result(&mut self, result: ScalarId) {
        for stage in &mut self.kernel.stages {
            if let Stage::Store { buffer, value, .. } = stage
                && *buffer == BufferId(2)
            {
                *value = result;
            }
        }
    }

    /// The contraction's sum.
    pub fn sum(&self) -> ScalarId {
        ScalarId(3)
    }
}

/// `a[m, k] b[k, n] -> [m, n]`
pub fn product(m: usize, n: usize, k: usize) -> Case {
    contraction(
        &[m, n, k],
        2,
        (
            Layout::row_major(vec![m, k]),
            vec![IndexExpr::dim(0), IndexExpr::dim(2)],
        ),
        (
            Layout::row_major(vec![k, n]),
            vec![IndexExpr::dim(2), IndexExpr::dim(1)],
        ),
        Layout::row_major(vec![m, n]),
    )
}

/// A convolution's sizes: `x: [b, c, h, w], w: [kh, kw, c, k] -> y: [b, k, oh, ow]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub b: usize,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub k: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Conv {
    pub fn out(&self) -> (usize, usize) {
        let out = |size: usize| (size + 2 * self.padding - self.kernel) / self.stride + 1;
        (out(self.h), out(self.w))
    }

    fn nhwc(extents: [usize; 4], border: usize) -> Layout {
        let borders = vec![(0, 0), (0, 0), (border, border), (border, border)];
        Layout::new(extents.to_vec(), vec![0, 2, 3, 1], borders)
    }

    pub fn x(&self) -> Layout {
        Conv::nhwc([self.b, self.c, self.h, self.w], self.padding)
    }

    pub fn y(&self, border: usize) -> Layout {
        let (oh, ow) = self.out();
        Conv::nhwc([self.b, self.k, oh, ow], border)
    }

    pub fn weights(&self) -> Layout {
        Layout::row_major(vec![self.kernel, self.kernel, self.c, self.k])
    }

    /// dims: b, k, oh, ow; kh, kw, c
    pub fn forward(&self) -> Case {
        let (oh, ow) = self.out();
        let (s, p) = (self.stride as i64, self.padding as i64);
        let window = |out: Dim, tap: Dim| IndexExpr::affine([(out, s), (tap, 1)], -p);
        let dim = IndexExpr::dim;
        contraction(
            &[self.b, self.k, oh, ow, self.kernel, self.kernel, self.c],
            4,
            (self.x(), vec![dim(0), dim(6), window(2, 4), window(3, 5)]),
            (self.weights(), vec![dim(4), dim(5), dim(6), dim(1)]),
            self.y(0),
        )
    }

    /// dims: b, c, h, w; kh, kw, k
    pub fn backward_data(&self) -> Case {
        let p = self.padding as i64;
        let window = |at: Dim, tap: Dim| IndexExpr {
            divisor: self.stride as i64,
            ..IndexExpr::affine([(at, 1), (tap, -1)], p)
        };
        let dim = IndexExpr::dim;
        let border = self.kernel - 1 - self.padding;
        contraction(
            &[
                self.b,
                self.c,
                self.h,
                self.w,
                self.kernel,
                self.kernel,
                self.k,
            ],
            4,
            (
                self.y(border),
                vec![dim(0), dim(6), window(2, 4), window(3, 5)],
            ),
            (self.weights(), vec![dim(4), dim(5), dim(1), dim(6)]),
            Conv::nhwc([self.b, self.c, self.h, self.w], 0),
        )
    }

    /// dims: kh, kw, c, k; b, oh, ow
    pub fn backward_weights(&self) -> Case {
        let (oh, ow) = self.out();
        let (s, p) = (self.stride as i64, self.padding as i64);
        let window = |out: Dim, tap: Dim| IndexExpr::affine([(out, s), (tap, 1)], -p);
        let dim = IndexExpr::dim;
        contraction(
            &[self.kernel, self.kernel, self.c, self.k, self.b, oh, ow],
            4,
            (self.x(), vec![dim(4), dim(2), window(5, 0), window(6, 1)]),
            (self.y(0), vec![dim(4), dim(3), dim(5), dim(6)]),
            self.weights(),
        )
    }
}
