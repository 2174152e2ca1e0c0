#![allow(clippy::unwrap_used)]

use super::{fuse, fuse_nothing};
use crate::differentiate::differentiate;
use crate::graph::{Contract, DType, Step, Type, View};
use crate::index::IndexExpr;
use crate::nest::{Buffer, Kernels, Role, interpret, unwritten, verify};
use crate::ops::Tensor;
use crate::simplify::simplify;
use crate::testing::nets::{
    Bench, add_bias, cnn, conv, cross_entropy, matmul, normalized, pool, relu,
};
use crate::testing::{elements, expected, random_step, values_for};

/// Fuses, verifies, runs the kernels and the graph, and compares all results.
fn check(step: &Step) -> Kernels {
    let (inputs, slots) = values_for(step);
    check_with(step, &inputs, &slots)
}

fn check_with(step: &Step, inputs: &[Tensor], slots: &[Tensor]) -> Kernels {
    compute(fuse(step), step, inputs, slots)
}

/// Whether kernels compute what the step does.
fn compute(kernels: Kernels, step: &Step, inputs: &[Tensor], slots: &[Tensor]) -> Kernels {
    let text = kernels.to_string();
    verify(&kernels).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    let memory = kernels.buffers.iter().map(|buffer| match buffer.role {
        Role::Input(id) => elements(&inputs[id.index()]),
        Role::Slot(id) => match slots.get(id.index()) {
            Some(slot) if slot.ty.shape == buffer.extents => elements(slot),
            _ => unwritten(buffer),
        },
        Role::Temporary | Role::Output => unwritten(buffer),
    });
    let memory = interpret(&kernels, memory.collect());
    expected(step, inputs, slots).compare(
        |output| memory[kernels.outputs[output].1.index()].clone(),
        |slot| {
            let mut buffers = kernels.buffers.iter();
            let buffer = buffers.position(|b| b.role == Role::Slot(slot)).unwrap();
            memory[buffer].clone()
        },
        &text,
    );
    kernels
}

#[test]
fn a_dense_layer_is_one_kernel() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([3, 5]));
    let (_, w) = b.slot(&[5, 4]);
    let (_, bias) = b.slot(&[4]);
    let y = matmul(&mut b.g, x, w);
    let y = add_bias(&mut b.g, y, bias, 1);
    let y = relu(&mut b.g, y);
    b.output(y);
    let kernels = check(&b.step());
    assert_eq!(kernels.kernels.len(), 1, "{kernels}");
}

#[test]
fn a_small_network_runs_as_few_kernels() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([2, 1, 4, 4]));
    let label = b.input(Type {
        dtype: DType::I32,
        shape: vec![2],
    });
    let (_, f) = b.slot(&[3, 1, 3, 3]);
    let (_, bias) = b.slot(&[3]);
    let (_, w) = b.slot(&[12, 5]);
    let y = conv(&mut b.g, x, f);
    let y = add_bias(&mut b.g, y, bias, 1);
    let y = relu(&mut b.g, y);
    let y = pool(&mut b.g, y);
    let y = b.g.reshape(y, &[2, 12]);
    let logits = matmul(&mut b.g, y, w);
    let loss = cross_entropy(&mut b.g, logits, label);
    b.output(loss);
    let kernels = check(&b.step());
    assert_eq!(kernels.kernels.len(), 5, "{kernels}");
}

#[test]
fn a_training_step_of_mnist_cnn() {
    let step = simplify(&cnn(2, 4, [3, 4], 5, 3));
    let kernels = check(&step);
    let names = kernels
        .kernels
        .iter()
        .map(|kernel| kernel.name.split_once('_').unwrap().1);
    let expected = [
        // The corrections of Adam's moments, once for all parameters.
        "pow_sub",
        // Two convolutions, pooling with dropout, two dense layers, one with dropout; the loss and its gradient.
        "contract_add_relu",
        "contract_add_relu",
        "max_uniform_select",
        "contract_add_relu_uniform",
        "contract_add",
        "max_sum_sub_exp",
        "sum",
        // Backward: for each layer the update of its bias, the gradients by what it read and by its weights.
        "sum_add_div_abs",
        "contract_uniform_select",
        "contract",
        "sum_add_div_abs",
        "contract_uniform_select",
        "max_sum_div_select",
        "contract",
        "sum_add_div_abs",
        "contract_select",
        "contract",
        "sum_add_div_abs",
        "contract",
        "update",
        "update",
        "update",
        "update",
    ];
    assert_eq!(names.collect::<Vec<&str>>(), expected, "{kernels}");
}

/// A norm over the batch writes its result and the gradient by what it reads, and nothing else
/// of that size: a pass for the statistics and one to apply them, forward and backward.
#[test]
fn a_norm_over_the_batch() {
    let shape = [4, 3, 24, 24];
    let mut b = Bench::new();
    let x = b.input(Type::f32([4, 2, 24, 24]));
    let (_, first) = b.slot(&[3, 2, 3, 3]);
    let (_, scale) = b.slot(&[3]);
    let (_, second) = b.slot(&[3, 3, 3, 3]);
    let y = conv(&mut b.g, x, first);
    let y = normalized(&mut b.g, y, &[0, 2, 3], 1e-5);
    let scales = b.g.broadcast(scale, &shape, &[1]);
    let y = b.g.mul(y, scales);
    let y = relu(&mut b.g, y);
    let y = conv(&mut b.g, y, second);
    let square = b.g.mul(y, y);
    let loss = b.g.sum(square, &[0, 1, 2, 3]);
    for w in [first, scale, second] {
        let dw = b.g.grad(loss, w);
        b.output(dw);
    }
    let kernels = check(&simplify(&differentiate(&b.step())));
    assert_eq!(kernels.kernels.len(), 10, "{kernels}");
    let large = |kernel: &crate::nest::Kernel| {
        let mut writes = kernel.writes();
        writes.retain(|b| kernels.buffers[b.index()].extents == shape);
        writes.len()
    };
    assert!(kernels.kernels.iter().all(|k| large(k) <= 1), "{kernels}");
}

/// Whatever the builder accepts, with gradients: the kernels compute what the graph does.
#[test]
fn random_graphs_are_cut_right() {
    for seed in (0..400).chain([1499, 2025]) {
        let (step, inputs) = random_step(seed, 4 + seed as usize % 20);
        let step = differentiate(&step);
        check_with(&step, &inputs, &[]);
        let step = simplify(&step);
        check_with(&step, &inputs, &[]);
        compute(fuse_nothing(&step), &step, &inputs, &[]);
    }
}

/// No kernel of an unfused step does more than one operation.
#[test]
fn nothing_is_fused_on_request() {
    let step = simplify(&cnn(2, 4, [3, 4], 5, 3));
    let (inputs, slots) = values_for(&step);
    let kernels = compute(fuse_nothing(&step), &step, &inputs, &slots);
    assert!(
        kernels.kernels.len() > 3 * fuse(&step).kernels.len(),
        "{kernels}"
    );
    for kernel in &kernels.kernels {
        assert!(kernel.stages.len() <= 2 + kernel.reductions(), "{kernel}");
    }
}

/// Whether two divides a large index cannot be told in f32: what is read there is
/// a tensor in memory, for which integers of 64 bits tell.
#[test]
fn large_divided_indices_are_read_from_memory() {
    for (size, count) in [(1 << 10, 1), (1 << 24, 1), ((1 << 24) + 2, 2)] {
        let mut b = Bench::new();
        let x = b.input(Type::f32([size / 2]));
        let y = b.g.scale(x, 2.0);
        let apart = View {
            shape: vec![size],
            map: vec![IndexExpr::dim(0).over(2)],
            fill: 0.5,
        };
        let y = b.g.view(y, apart);
        b.output(y);
        let kernels = fuse(&b.step());
        verify(&kernels).unwrap();
        assert_eq!(kernels.kernels.len(), count, "{kernels}");
    }
}

/// Every value of a graph can be a result, leaves too.
#[test]
fn any_node_can_be_a_result() {
    for seed in 0..20 {
        let (step, inputs) = random_step(seed, 12);
        let step = differentiate(&step);
        for (id, node) in step.graph.iter() {
            if node.ty.dtype != DType::Bool {
                let mut one = step.clone();
                one.outputs = vec![("y".into(), id)];
                check_with(&one, &inputs, &[]);
            }
        }
    }
}

/// What stands one behind the other is written there by those who compute it.
#[test]
fn parts_are_written_into_the_whole() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([3, 5]));
    let mut whole = None;
    for (size, before) in [(4, 0), (2, 4)] {
        let (_, w) = b.slot(&[5, size]);
        let part = matmul(&mut b.g, x, w);
        let place = View {
            shape: vec![3, 6],
            map: vec![IndexExpr::dim(0), IndexExpr::affine([(1, 1)], -before)],
            fill: 0.0,
        };
        let part = b.g.view(part, place);
        whole = Some(match whole {
            None => part,
            Some(others) => b.g.add(others, part),
        });
    }
    b.output(whole.unwrap());
    let kernels = check(&b.step());
    assert_eq!(kernels.kernels.len(), 2, "{kernels}");
}

/// Of rows that were brought to mean 0 and variance 1 those are kept that a product reads, the
/// means, and the deviations: what else is needed later is computed again from these.
#[test]
fn what_is_cheap_beside_rows_is_not_stored() {
    let mut b = Bench::new();
    let x = b.input(Type::f32([16, 8]));
    let (_, w) = b.slot(&[8, 64]);
    let (_, u) = b.slot(&[64, 64]);
    let x = matmul(&mut b.g, x, w);
    let shape = [16, 64];
    let mean = |b: &mut Bench, x| {
        let sum = b.g.sum(x, &[1]);
        b.g.scale(sum, 1.0 / 64.0)
    };
    let m = mean(&mut b, x);
    let m = b.g.broadcast(m, &shape, &[0]);
    let centred = b.g.sub(x, m);
    let square = b.g.mul(centred, centred);
    let v = mean(&mut b, square);
    let deviation = b.g.sqrt(v);
    let deviation = b.g.broadcast(deviation, &shape, &[0]);
    let y = b.g.div(centred, deviation);
    let h = matmul(&mut b.g, y, u);
    for x in [centred, y] {
        let result = b.g.mul(h, x);
        b.output(result);
    }
    let kernels = check(&b.step());
    let is_large = |buffer: &&Buffer| buffer.role == Role::Temporary && buffer.extents == shape;
    let large = kernels.buffers.iter().filter(is_large).count();
    assert_eq!(large, 2, "{kernels}");
}

/// Loops over time, whole and cut into parts, run as the oracle does.
#[test]
fn loops_over_time() {
    for seed in 0..6 {
        for (what, step) in crate::testing::recurrences(seed) {
            let step = differentiate(&step);
            let kernels = check(&step);
            let loops = kernels
                .kernels
                .iter()
                .filter(|kernel| kernel.repeat().is_some());
            assert_eq!(loops.count(), 2, "{what}: {kernels}");
            check(&simplify(&step));
        }
    }
}

/// A gradient by weights ends in their update where rows are long: also if what the product read
/// has several axes in the place of a row, each of them short.
#[test]
fn long_rows_are_updated_where_they_are_summed() {
    for (axes, count) in [
        (vec![64], 1),
        (vec![8, 8], 1),
        (vec![16], 2),
        (vec![4, 4], 2),
    ] {
        let mut b = Bench::new();
        let row = axes.iter().product();
        let x = b.input(Type::f32([8, 40]));
        let dy = b.input(Type::f32([&[8], &axes[..]].concat()));
        let (slot, w) = b.slot(&[40, row]);
        let rank = 1 + axes.len();
        let contract = Contract {
            dims: [40].into_iter().chain(axes).chain([8]).collect(),
            rank,
            a: vec![IndexExpr::dim(rank), IndexExpr::dim(0)],
            b: [rank]
                .into_iter()
                .chain(1..rank)
                .map(IndexExpr::dim)
                .collect(),
        };
        let dw = b.g.contract(x, dy, contract);
        let dw = b.g.reshape(dw, &[40, row]);
        let step = b.g.scale(dw, 0.1);
        let new = b.g.sub(w, step);
        let mut step = b.step();
        step.updates.push((slot, new));
        let kernels = check(&simplify(&step));
        assert_eq!(kernels.kernels.len(), count, "{kernels}");
    }
}
