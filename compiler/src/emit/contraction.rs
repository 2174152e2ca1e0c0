//! A contraction's code: one driver, which walks the tasks it is given, and a
//! function for each size of tile, which does all the arithmetic.

use cranelift_codegen::ir::{
    self, FuncRef, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind,
    UserFuncName, Value, types,
};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::count::Count;
use super::tile::{FRAME_ENTRY, Tile, frame_bytes, tile_signature, trips_entry};
use super::tile_portable::tile_portable;
use super::tile_wide::tile_wide;
use super::unit::{Body, CodeFunction, CodeUnit, Effort, import, kernel_signature};
use crate::bug::bug;
use crate::index::Dim;
use crate::schedule::tiles::{Axis, Element, Level, TilePlan};
use crate::target::Isa;

/// The code of a contraction.
pub fn contraction(plan: &TilePlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    let shapes = shapes(plan);
    let mut functions = vec![CodeFunction {
        name: name.to_owned(),
        body: Body::Clif(Box::new(driver(plan, &shapes, config)), Effort::Optimized),
    }];
    for shape in &shapes {
        let tile = Tile::new(plan, shape.count, shape.columns);
        functions.push(CodeFunction {
            name: format!("{name}_{}x{}", tile.rows(), shape.columns),
            body: match plan.isa {
                Isa::Portable => {
                    Body::Clif(Box::new(tile_portable(&tile, config)), Effort::Verbatim)
                }
                Isa::Avx2 | Isa::Avx512 => Body::Bytes(tile_wide(&tile)),
            },
        });
    }
    CodeUnit { functions }
}

/// The size of a tile: indices of the dimension cut into rows, and columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    count: usize,
    columns: usize,
}

/// Some steps of a level, all of one size.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: usize,
    end: usize,
    /// Indices of the dimension that one step covers.
    size: usize,
    /// The index at which step `first` begins.
    start: usize,
    /// The part of the sum's outermost loop that runs there, if edges are left out.
    sum: Option<(usize, usize)>,
}

/// Every size of tile that occurs.
fn shapes(plan: &TilePlan) -> Vec<Shape> {
    let columns = runs(plan, Axis::Columns, usize::MAX);
    let rows = runs(plan, Axis::Rows, usize::MAX);
    columns
        .iter()
        .flat_map(|columns| {
            rows.iter().map(|rows| Shape {
                count: rows.size,
                columns: columns.size,
            })
        })
        .collect()
}

/// The steps of a level by size.
fn runs(plan: &TilePlan, axis: Axis, steps: usize) -> Vec<Run> {
    let run = |first: usize, count: usize, size: usize, start: usize| Run {
        first,
        end: first + count,
        size,
        start,
        sum: None,
    };
    let runs = match axis {
        Axis::Dim(dim) => match &plan.edges {
            Some(edges) if edges.outer == dim => {
                let mut first = 0;
                let equal = edges.ranges.chunk_by(|one, next| one == next);
                let runs = equal.map(|ranges| {
                    first += ranges.len();
                    Run {
                        sum: Some(ranges[0]),
                        ..run(first - ranges.len(), ranges.len(), 1, first - ranges.len())
                    }
                });
                runs.collect()
            }
            _ => vec![run(0, steps, 1, 0)],
        },
        Axis::Rows => {
            let rows = &plan.rows;
            let start = rows.larges * rows.large;
            vec![
                run(0, rows.larges, rows.large, 0),
                run(rows.larges, rows.smalls, rows.large - 1, start),
            ]
        }
        Axis::Columns => {
            let width = plan.columns.width;
            let extent = plan.linear.dims[plan.columns.dim];
            let (full, rest) = (extent / width, extent % width);
            vec![
                run(0, full, width, 0),
                run(full, rest.min(1), rest, full * width),
            ]
        }
    };
    runs.into_iter().filter(|run| run.first < run.end).collect()
}

fn driver(plan: &TilePlan, shapes: &[Shape], config: TargetFrontendConfig) -> ir::Function {
    let signature = kernel_signature(config.default_call_conv);
    let mut function = ir::Function::with_name_signature(UserFuncName::default(), signature);
    let tiles = (0..shapes.len())
        .map(|position| import(&mut function, 1 + position, tile_signature()))
        .collect();
    let mut context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut function, &mut context);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let &[arguments, begin, end] = builder.block_params(entry) else {
        unreachable!("a kernel has three parameters");
    };
    let places = &plan.linear.places;
    let bytes = frame_bytes(plan) as u32;
    let frame =
        builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3));
    let origins: Vec<Value> = places
        .iter()
        .map(|place| match place.element {
            Element::F32(argument) | Element::I32(argument) => {
                let offset = (argument * 8) as i32;
                let flags = MemFlagsData::trusted().with_readonly();
                let start = builder.ins().load(types::I64, flags, arguments, offset);
                builder.ins().iadd_imm_s(start, place.base)
            }
            Element::Index => builder.ins().iconst(types::I64, place.base),
        })
        .collect();
    let mut driver = Driver {
        plan,
        shapes,
        builder,
        frame,
        tiles,
        trips: 0,
    };
    driver.loop_over(begin, end, &mut |driver, task| {
        let ranges = driver.ranges(task);
        driver.walk(&plan.levels, &ranges, &origins, Shape::whole(plan));
    });
    driver.builder.ins().return_(&[]);
    driver.builder.seal_all_blocks();
    driver.builder.finalize(config);
    function
}

impl Shape {
    /// Of a tile that is not cut into rows; its columns are known once their level is entered.
    fn whole(plan: &TilePlan) -> Shape {
        Shape {
            count: plan.rows.large,
            columns: plan.columns.width,
        }
    }
}

struct Driver<'a> {
    plan: &'a TilePlan,
    shapes: &'a [Shape],
    builder: FunctionBuilder<'a>,
    frame: StackSlot,
    tiles: Vec<FuncRef>,
    /// How often the sum's outermost loop runs in the tiles being called.
    trips: usize,
}

impl Driver<'_> {
    /// The steps of each level that belong to a task.
    fn ranges(&mut self, task: Value) -> Vec<(Value, Value)> {
        let mut rest = task;
        let mut ranges = Vec::new();
        for level in self.plan.levels.iter().rev() {
            let ins = self.builder.ins();
            if level.runs == 1 {
                let first = ins.iconst(types::I64, 0);
                let end = self.builder.ins().iconst(types::I64, level.steps as i64);
                ranges.push((first, end));
                continue;
            }
            let run = ins.urem_imm_u(rest, level.runs as i64);
            rest = self.builder.ins().udiv_imm_u(rest, level.runs as i64);
            let next = self.builder.ins().iadd_imm_s(run, 1);
            let [first, end] = [run, next].map(|run| {
                let steps = self.builder.ins().imul_imm_s(run, level.steps as i64);
                self.builder.ins().udiv_imm_u(steps, level.runs as i64)
            });
            ranges.push((first, end));
        }
        ranges.reverse();
        ranges
    }

    /// Walks the levels; `places` are those of the levels' first indices.
    fn walk(
        &mut self,
        levels: &[Level],
        ranges: &[(Value, Value)],
        places: &[Value],
        shape: Shape,
    ) {
        let Some((level, levels)) = levels.split_first() else {
            return self.call(places, shape);
        };
        let (first, end) = ranges[0];
        let runs = runs(self.plan, level.axis, level.steps);
        for run in &runs {
            // With a single run the task's own range is as good.
            let (first, end) = if runs.len() == 1 {
                (first, end)
            } else {
                (self.at_least(first, run.first), self.at_most(end, run.end))
            };
            let shape = match level.axis {
                Axis::Dim(_) => shape,
                Axis::Rows => Shape {
                    count: run.size,
                    ..shape
                },
                Axis::Columns => Shape {
                    columns: run.size,
                    ..shape
                },
            };
            if let Some((first, end)) = run.sum {
                self.trips = end - first;
            }
            self.loop_over(first, end, &mut |driver, step| {
                let places = driver.advance(places, level.axis, run, step);
                driver.walk(levels, &ranges[1..], &places, shape);
            });
        }
    }

    /// The places at a step of a level.
    fn advance(&mut self, places: &[Value], axis: Axis, run: &Run, step: Value) -> Vec<Value> {
        let Some(dim) = self.dim(axis) else {
            return places.to_vec();
        };
        let sizes = self.builder.ins().imul_imm_s(step, run.size as i64);
        let skipped = run.start as i64 - (run.first * run.size) as i64;
        let index = self.builder.ins().iadd_imm_s(sizes, skipped);
        let edges = self.plan.edges.as_ref().zip(run.sum);
        places
            .iter()
            .zip(&self.plan.linear.places)
            .map(|(&value, place)| {
                let value = match place.strides[dim] {
                    0 => value,
                    stride => {
                        let offset = self.builder.ins().imul_imm_s(index, stride);
                        self.builder.ins().iadd(value, offset)
                    }
                };
                match edges.map(|(edges, (first, _))| place.strides[edges.summed] * first as i64) {
                    None | Some(0) => value,
                    Some(left_out) => self.builder.ins().iadd_imm_s(value, left_out),
                }
            })
            .collect()
    }

    fn dim(&self, axis: Axis) -> Option<Dim> {
        match axis {
            Axis::Dim(dim) => Some(dim),
            Axis::Rows => self.plan.rows.dim,
            Axis::Columns => Some(self.plan.columns.dim),
        }
    }

    fn call(&mut self, places: &[Value], shape: Shape) {
        for (position, &value) in places.iter().enumerate() {
            let offset = (position as i64 * FRAME_ENTRY) as i32;
            self.builder
                .ins()
                .stack_store(types::I64, value, self.frame, offset);
        }
        if self.plan.edges.is_some() {
            let trips = self.builder.ins().iconst(types::I64, self.trips as i64);
            let offset = trips_entry(self.plan) as i32;
            self.builder
                .ins()
                .stack_store(types::I64, trips, self.frame, offset);
        }
        let frame = self.builder.ins().stack_addr(types::I64, self.frame, 0);
        let position = self.shapes.iter().position(|&known| known == shape);
        let tile = self.tiles[position.unwrap_or_else(|| {
            bug!("emit", "no tile of {shape:?}");
        })];
        self.builder.ins().call(tile, &[frame]);
    }

    /// `for index in first..end`.
    fn loop_over(&mut self, first: Value, end: Value, body: &mut dyn FnMut(&mut Self, Value)) {
        let count = Count::begin(&mut self.builder, first, end);
        body(self, count.index);
        count.end(&mut self.builder);
    }

    fn at_most(&mut self, value: Value, bound: usize) -> Value {
        let bound = self.builder.ins().iconst(types::I64, bound as i64);
        self.builder.ins().umin(value, bound)
    }

    fn at_least(&mut self, value: Value, bound: usize) -> Value {
        let bound = self.builder.ins().iconst(types::I64, bound as i64);
        self.builder.ins().umax(value, bound)
    }
}
