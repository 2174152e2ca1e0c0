//! The code that moves rows by their numbers: loops over rows, and vectors of 128 bits along each.
//! A row is either of some length, and then memory decides, or there is little to do.

use super::count::Count;
use super::unit::{
    Body, CodeFunction, CodeUnit, Effort, begin_kernel, end_kernel, kernel_function,
};
use crate::graph::{NumberedRows, Way};
use crate::schedule::{ELEMENT_BYTES, RowsPlan};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// Elements of a vector.
const LANES: usize = 4;
/// Vectors of one round.
const VECTORS: usize = 4;
/// Bytes of an element.
const BYTES: i64 = ELEMENT_BYTES as i64;

/// The code of a kernel that moves rows.
pub fn emit(plan: &RowsPlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    let mut function = kernel_function(config);
    let mut context = FunctionBuilderContext::new();
    let (mut b, [table, begin, end]) = begin_kernel(&mut function, &mut context);
    let flags = MemFlagsData::trusted().with_readonly();
    let tensors = [0, 8, 16].map(|at| b.ins().load(types::I64, flags, table, at));
    let mut writer = Writer { b };
    writer.each((begin, end), &mut |w, task| match plan.moved.way {
        Way::Gather => w.gather(plan, tensors, task),
        Way::Scatter => w.scatter(plan, tensors, task),
    });
    end_kernel(writer.b, config);
    CodeUnit {
        functions: vec![CodeFunction {
            name: name.to_owned(),
            body: Body::Clif(Box::new(function), Effort::Optimized),
        }],
    }
}

struct Writer<'a> {
    b: FunctionBuilder<'a>,
}

/// A number; none where it can be nothing but 0.
type Number = Option<Value>;

/// What becomes of a row.
#[derive(Clone, Copy)]
enum Row {
    /// It is copied from there.
    From(Value),
    /// What is there is added to it.
    Plus(Value),
    /// It becomes zeros.
    Zeros,
}

impl Writer<'_> {
    /// A part of the rows of all lists.
    fn gather(&mut self, plan: &RowsPlan, [tables, numbers, lists]: [Value; 3], task: Value) {
        let rows = plan.moved.rows;
        let (count, row) = (rows.count, rows.row);
        let all = [rows.shared * rows.outer, rows.listed];
        let range = self.part(plan.each, all[0] * all[1], Some(task));
        self.each(range, &mut |w, entry| {
            let [table, position] = w.split(Some(entry), all);
            let [table, numbers, list] = w.of_table(rows, [tables, numbers, lists], table);
            let target = w.at(list, position, row);
            let number = w.number(numbers, position);
            let known =
                w.b.ins()
                    .icmp_imm_u(IntCC::UnsignedLessThan, number, count as i64);
            w.choose(
                known,
                |w| {
                    let number = w.b.ins().uextend(types::I64, number);
                    let source = w.at(table, Some(number), row);
                    w.row(target, Row::From(source), row);
                },
                |w| w.row(target, Row::Zeros, row),
            );
        });
    }

    /// A part of the rows of one table, or of some columns of it.
    fn scatter(&mut self, plan: &RowsPlan, [lists, numbers, tables]: [Value; 3], task: Value) {
        let rows = plan.moved.rows;
        let row = rows.row;
        let columns = [rows.shared * rows.outer, plan.columns];
        let [column, part] = self.split(Some(task), [columns[0] * columns[1], plan.parts()]);
        let [table, column] = self.split(column, columns);
        let [table, numbers, list] = self.of_table(rows, [tables, numbers, lists], table);
        let width = row / plan.columns;
        let [table, list] = [table, list].map(|whole| self.at(whole, column, width));
        let (begin, end) = self.part(plan.each, rows.count, part);
        self.each((begin, end), &mut |w, number| {
            let target = w.at(table, Some(number), row);
            w.row(target, Row::Zeros, width);
        });
        let own = self.b.ins().isub(end, begin);
        let all = self.constants([0, rows.listed]);
        self.each(all, &mut |w, position| {
            let number = w.number(numbers, Some(position));
            let number = w.b.ins().uextend(types::I64, number);
            // Those before the first own row are very large when seen as unsigned.
            let within = w.b.ins().isub(number, begin);
            let known = w.b.ins().icmp(IntCC::UnsignedLessThan, within, own);
            w.choose(
                known,
                |w| {
                    let source = w.at(list, Some(position), row);
                    let target = w.at(table, Some(number), row);
                    w.row(target, Row::Plus(source), width);
                },
                |_| {},
            );
        });
    }

    /// Where a table, the numbers for it and its list begin.
    fn of_table(
        &mut self,
        rows: NumberedRows,
        [tables, numbers, lists]: [Value; 3],
        table: Number,
    ) -> [Value; 3] {
        let [shared, _] = self.split(table, [rows.shared, rows.outer]);
        [
            self.at(tables, table, rows.count * rows.row),
            self.at(numbers, shared, rows.listed),
            self.at(lists, table, rows.listed * rows.row),
        ]
    }

    fn constants(&mut self, [a, b]: [usize; 2]) -> (Value, Value) {
        let a = self.b.ins().iconst(types::I64, a as i64);
        (a, self.b.ins().iconst(types::I64, b as i64))
    }

    /// Where part `number` of `all` begins and ends, if each but the last one has `each`.
    fn part(&mut self, each: usize, all: usize, number: Number) -> (Value, Value) {
        let Some(number) = number else {
            return self.constants([0, each.min(all)]);
        };
        let begin = self.b.ins().imul_imm_s(number, each as i64);
        let end = self.b.ins().iadd_imm_s(begin, each as i64);
        let all = self.b.ins().iconst(types::I64, all as i64);
        (begin, self.b.ins().umin(end, all))
    }

    /// Quotient and remainder, of which there are so many.
    fn split(&mut self, number: Number, [quotients, remainders]: [usize; 2]) -> [Number; 2] {
        match (number, quotients, remainders) {
            (None, ..) | (_, 1, 1) => [None, None],
            (_, 1, _) => [None, number],
            (_, _, 1) => [number, None],
            (Some(number), ..) => {
                let by = self.b.ins().iconst(types::I64, remainders as i64);
                let quotient = self.b.ins().udiv(number, by);
                [Some(quotient), Some(self.b.ins().urem(number, by))]
            }
        }
    }

    /// So many times so many elements behind a place.
    fn at(&mut self, base: Value, times: Number, elements: usize) -> Value {
        let Some(times) = times else { return base };
        let bytes = self.b.ins().imul_imm_s(times, elements as i64 * BYTES);
        self.b.ins().iadd(base, bytes)
    }

    fn number(&mut self, numbers: Value, position: Number) -> Value {
        let place = self.at(numbers, position, 1);
        let flags = MemFlagsData::trusted();
        self.b.ins().load(types::I32, flags, place, 0)
    }

    /// Writes a row.
    fn row(&mut self, target: Value, from: Row, elements: usize) {
        let round = LANES * VECTORS;
        let whole = elements / round * round;
        if whole > 0 {
            let rounds = self.constants([0, whole / round]);
            self.each(rounds, &mut |w, number| {
                let target = w.at(target, Some(number), round);
                let from = match from {
                    Row::From(source) => Row::From(w.at(source, Some(number), round)),
                    Row::Plus(source) => Row::Plus(w.at(source, Some(number), round)),
                    Row::Zeros => Row::Zeros,
                };
                for vector in 0..VECTORS {
                    w.element(target, from, types::F32X4, vector * LANES);
                }
            });
        }
        let vectors = whole + (elements - whole) / LANES * LANES;
        for element in (whole..vectors).step_by(LANES) {
            self.element(target, from, types::F32X4, element);
        }
        for element in vectors..elements {
            self.element(target, from, types::F32, element);
        }
    }

    /// Writes one element or vector of a row.
    fn element(&mut self, target: Value, from: Row, ty: ir::Type, element: usize) {
        let offset = (element * ELEMENT_BYTES) as i32;
        let flags = MemFlagsData::new().with_notrap();
        let value = match from {
            Row::From(source) => self.b.ins().load(ty, flags, source, offset),
            Row::Plus(source) => {
                let sum = self.b.ins().load(ty, flags, target, offset);
                let more = self.b.ins().load(ty, flags, source, offset);
                self.b.ins().fadd(sum, more)
            }
            Row::Zeros => {
                let zero = self.b.ins().f32const(0.0);
                match ty {
                    types::F32 => zero,
                    vector => self.b.ins().splat(vector, zero),
                }
            }
        };
        self.b.ins().store(flags, value, target, offset);
    }

    fn choose(
        &mut self,
        condition: Value,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let [yes, no, after] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().brif(condition, yes, &[], no, &[]);
        self.b.switch_to_block(yes);
        then(self);
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(no);
        otherwise(self);
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(after);
    }

    /// `for index in first..end`
    fn each(&mut self, (first, end): (Value, Value), body: &mut dyn FnMut(&mut Self, Value)) {
        let count = Count::begin(&mut self.b, first, end);
        body(self, count.index);
        count.end(&mut self.b);
    }
}

#[cfg(test)]
mod tests;
