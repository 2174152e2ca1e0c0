#![allow(clippy::unwrap_used)]
//! Compiled against `NumberedRows`, whatever the division, its tasks in any order. Sums are of small
//! integers in the order of the list, so every bit is known.

use super::emit;
use crate::emit::Machine;
use crate::graph::{NumberedRows, Way};
use crate::link::load;
use crate::nest::RowsByNumber;
use crate::schedule::RowsPlan;
use crate::target::{Isa, Target};
use crate::testing::Numbers;

/// A plan that divides into columns and rows wherever there are several, and what it reads: some
/// numbers name no row, on either side.
fn random_plan(numbers: &mut Numbers, way: Way) -> (RowsPlan, Vec<f32>, Vec<i32>) {
    let columns = match way {
        Way::Gather => 1,
        Way::Scatter => 1 + numbers.below(3),
    };
    let rows = NumberedRows {
        shared: 1 + numbers.below(3),
        outer: 1 + numbers.below(3),
        count: 1 + numbers.below(7),
        listed: 1 + numbers.below(9),
        // Whole rounds of vectors, vectors and single elements.
        row: columns * [1, 3, 4, 7, 16, 25, 37][numbers.below(7)],
    };
    let divided = match way {
        Way::Gather => rows.shared * rows.outer * rows.listed,
        Way::Scatter => rows.count,
    };
    let plan = RowsPlan {
        moved: RowsByNumber { way, rows },
        columns,
        each: 1 + numbers.below(divided),
    };
    let [tables, lists, listed] = rows.elements();
    let read = match way {
        Way::Gather => tables,
        Way::Scatter => lists,
    };
    let x = (0..read).map(|_| numbers.below(9) as f32 - 4.0).collect();
    let of_rows = (0..listed).map(|_| numbers.below(rows.count + 4) as i32 - 2);
    (plan, x, of_rows.collect())
}

fn expected(plan: &RowsPlan, x: &[f32], numbers: &[i32]) -> Vec<f32> {
    let RowsByNumber { way, rows } = plan.moved;
    let [tables, lists, _] = rows.elements();
    let mut y = match way {
        Way::Gather => vec![0.0; lists],
        Way::Scatter => vec![0.0; tables],
    };
    for entry in rows.entries() {
        let Some(start) = rows.start(i64::from(numbers[entry.number])) else {
            continue;
        };
        for element in 0..rows.row {
            let of_list = entry.listed + element;
            let of_table = entry.table + start + element;
            match way {
                Way::Gather => y[of_list] = x[of_table],
                Way::Scatter => y[of_table] += x[of_list],
            }
        }
    }
    y
}

#[test]
fn rows_are_moved_as_their_numbers_say_however_they_are_divided() {
    let machine = Machine::new(&Target::host_with(Isa::Portable));
    let mut numbers = Numbers(5);
    let mut both_ways_divided = 0;
    for round in 0..120 {
        let way = if round % 2 == 0 {
            Way::Gather
        } else {
            Way::Scatter
        };
        let (plan, x, of_rows) = random_plan(&mut numbers, way);
        both_ways_divided += usize::from(plan.columns > 1 && plan.parts() > 1);
        let expected = expected(&plan, &x, &of_rows);
        let units = machine.compile(vec![emit(&plan, "rows", machine.config())]);
        let (_code, entries) = load(&machine, &units);
        let tasks = plan.tasks() as u64;
        let one_by_one = (0..tasks).rev().map(|task| (task, task + 1)).collect();
        for division in [vec![(0, tasks)], one_by_one] {
            // Behind the last element, one that stays.
            let mut y = vec![f32::NAN; expected.len() + 1];
            let args = [
                x.as_ptr().cast::<u8>().cast_mut(),
                of_rows.as_ptr().cast::<u8>().cast_mut(),
                y.as_mut_ptr().cast::<u8>(),
            ];
            for (begin, end) in division {
                // SAFETY: the arguments are as large as the plan says.
                unsafe { entries[0](args.as_ptr(), begin, end) };
            }
            let last = y.pop();
            assert!(last.is_some_and(f32::is_nan), "{plan}");
            assert_eq!(y, expected, "{plan}");
        }
    }
    assert!(both_ways_divided > 10, "{both_ways_divided}");
}
