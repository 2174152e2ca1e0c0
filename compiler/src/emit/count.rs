//! Loops that count.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;

/// `for index in first..end`, opened: what is emitted next is its body.
pub struct Count {
    /// The number of this round.
    pub index: Value,
    head: Block,
    after: Block,
}

impl Count {
    /// Opens a loop.
    pub fn begin(b: &mut FunctionBuilder<'_>, first: Value, end: Value) -> Count {
        let [head, inside, after] = std::array::from_fn(|_| b.create_block());
        let index = b.append_block_param(head, types::I64);
        b.ins().jump(head, &[first.into()]);
        b.switch_to_block(head);
        let more = b.ins().icmp(IntCC::UnsignedLessThan, index, end);
        b.ins().brif(more, inside, &[], after, &[]);
        b.switch_to_block(inside);
        Count { index, head, after }
    }

    /// Closes it: what is emitted next comes after it.
    pub fn end(self, b: &mut FunctionBuilder<'_>) {
        let next = b.ins().iadd_imm_s(self.index, 1);
        b.ins().jump(self.head, &[next.into()]);
        b.switch_to_block(self.after);
    }
}
