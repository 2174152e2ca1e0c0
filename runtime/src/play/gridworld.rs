//! Cells to be walked until a goal or a hole. Who moves may slip to a side, and stays where
//! a wall or the edge is in the way. The map by default, its slips, costs and rewards are
//! the 4 x 3 world of Russell and Norvig, Artificial Intelligence: A Modern Approach.

use super::{Environment, Outcome};
use crate::rng::Random;
use std::sync::Arc;

/// What cells there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Map {
    cells: Arc<[Cell]>,
    width: usize,
    start: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Free,
    Wall,
    Goal,
    Hole,
}

impl Map {
    /// The map by default.
    pub fn standard() -> Map {
        match Map::of("...G/.#.H/S...") {
            Ok(map) => map,
            Err(fault) => panic!("runtime: the standard map: {fault}"),
        }
    }

    /// Reads rows of cells, with `/` between them.
    pub fn of(text: &str) -> Result<Map, String> {
        let rows: Vec<&str> = text.split('/').collect();
        let width = rows[0].chars().count();
        let (mut cells, mut starts) = (Vec::new(), Vec::new());
        for row in &rows {
            if row.chars().count() != width || width == 0 {
                return Err(format!(
                    "must have equally long rows, but `{}` and `{row}` are not",
                    rows[0]
                ));
            }
            for symbol in row.chars() {
                if symbol == 'S' {
                    starts.push(cells.len());
                }
                cells.push(match symbol {
                    'S' | '.' => Cell::Free,
                    '#' => Cell::Wall,
                    'G' => Cell::Goal,
                    'H' => Cell::Hole,
                    other => {
                        return Err(format!(
                            "has `{other}`; there are S start, G goal, H hole, # wall and . free"
                        ));
                    }
                });
            }
        }
        match starts[..] {
            [start] => Ok(Map {
                cells: cells.into(),
                width,
                start,
            }),
            _ => Err(format!("must have one start S, but has {}", starts.len())),
        }
    }

    /// How many cells.
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Where a move from a cell ends.
    fn beside(&self, cell: usize, direction: Direction) -> usize {
        let (row, column) = (cell / self.width, cell % self.width);
        let rows = self.cells.len() / self.width;
        let moved = match direction {
            Direction::Up => row.checked_sub(1).map(|row| (row, column)),
            Direction::Right => Some((row, column + 1)),
            Direction::Down => Some((row + 1, column)),
            Direction::Left => column.checked_sub(1).map(|column| (row, column)),
        };
        moved
            .filter(|&(row, column)| row < rows && column < self.width)
            .map(|(row, column)| row * self.width + column)
            .filter(|&next| self.cells[next] != Cell::Wall)
            .unwrap_or(cell)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Right,
    Down,
    Left,
}

/// Clockwise, by the numbers of the actions.
const DIRECTIONS: [Direction; 4] = [
    Direction::Up,
    Direction::Right,
    Direction::Down,
    Direction::Left,
];

/// A map with somebody on it.
pub(super) struct GridWorld {
    map: Map,
    slip: f32,
    cost: f32,
    /// The number of the cell.
    place: [f64; 1],
}

impl GridWorld {
    pub fn new(map: Map, slip: f32, cost: f32) -> GridWorld {
        let place = [map.start as f64];
        GridWorld {
            map,
            slip,
            cost,
            place,
        }
    }
}

impl Environment for GridWorld {
    fn reset(&mut self, _: &mut Random) {
        self.place = [self.map.start as f64];
    }

    fn observe(&self, seen: &mut [f32]) {
        seen[0] = self.place[0] as f32;
    }

    fn act(&mut self, action: usize, random: &mut Random) -> Outcome {
        // Half of the slips go to either side.
        let drawn = random.uniform();
        let turn = match drawn {
            _ if drawn >= self.slip => 0,
            _ if drawn >= self.slip / 2.0 => 1,
            _ => 3,
        };
        let direction = DIRECTIONS[(action + turn) % DIRECTIONS.len()];
        let next = self.map.beside(self.place[0] as usize, direction);
        self.place = [next as f64];
        let (prize, terminated) = match self.map.cells[next] {
            Cell::Goal => (1.0, true),
            Cell::Hole => (-1.0, true),
            Cell::Free | Cell::Wall => (0.0, false),
        };
        Outcome {
            reward: prize - self.cost,
            terminated,
        }
    }

    fn state(&mut self) -> &mut [f64] {
        &mut self.place
    }
}
