//! Rows that have numbers: what `gather` reads from, and `scatter` adds to.

/// How a table and a list of its rows lie, in elements. The table is `[shared, outer, count, row]`,
/// the list `[shared, outer, listed, row]`, and the numbers are `[shared, listed]`: all row-major.
/// A number that is none of `0..count` names no row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NumberedRows {
    /// So many tables, each with numbers of its own.
    pub shared: usize,
    /// So many tables have the same numbers.
    pub outer: usize,
    /// Rows of a table.
    pub count: usize,
    /// Rows of its list.
    pub listed: usize,
    /// Elements of a row.
    pub row: usize,
}

/// A row of a list: where it begins, where its number stands, and where row 0 of its table begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its first element in the list.
    pub listed: usize,
    /// The place of its number.
    pub number: usize,
    /// The first element of its table.
    pub table: usize,
}

impl NumberedRows {
    /// The rows along `axis` of a table of this shape, whose first `shared` axes the numbers have too.
    pub fn new(table: &[usize], numbers: &[usize], axis: usize, shared: usize) -> NumberedRows {
        let elements = |shape: &[usize]| shape.iter().product();
        NumberedRows {
            shared: elements(&table[..shared]),
            outer: elements(&table[shared..axis]),
            count: table[axis],
            listed: elements(&numbers[shared..]),
            row: elements(&table[axis + 1..]),
        }
    }

    /// How many elements the tables, the lists and the numbers have.
    pub fn elements(&self) -> [usize; 3] {
        let NumberedRows {
            shared,
            outer,
            count,
            listed,
            row,
        } = *self;
        [
            shared * outer * count * row,
            shared * outer * listed * row,
            shared * listed,
        ]
    }

    /// The rows of all lists in the order in which they lie.
    pub fn entries(self) -> impl Iterator<Item = Entry> {
        let NumberedRows {
            outer,
            count,
            listed,
            row,
            ..
        } = self;
        (0..self.shared * outer).flat_map(move |table| {
            (0..listed).map(move |entry| Entry {
                listed: (table * listed + entry) * row,
                number: table / outer * listed + entry,
                table: table * count * row,
            })
        })
    }

    /// Where in its table the row of a number begins, if there is such a row.
    pub fn start(&self, number: i64) -> Option<usize> {
        let number = usize::try_from(number).ok()?;
        (number < self.count).then_some(number * self.row)
    }
}

/// Where rows go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// From tables to lists; zeros where a number names no row.
    Gather,
    /// From lists to tables, into which all rows of the same number are added in the order of the
    /// list; nothing is added where a number names no row.
    Scatter,
}
