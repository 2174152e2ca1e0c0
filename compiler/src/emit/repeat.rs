//! The code of a loop over time: a driver that goes through time for each part of the
//! batch and calls the body's kernels, which follow it in the same unit.

use super::count::Count;
use super::unit::{
    Body, CodeFunction, CodeUnit, Effort, UNIT_NAMESPACE, begin_kernel, end_kernel, import,
    kernel_function, kernel_signature,
};
use crate::graph::TimeOrder;
use crate::schedule::{Argument, Plan, RepeatPlan, RepeatedLaunch};
use cranelift_codegen::ir::{
    self, FuncRef, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind,
    UserExternalName, Value, types,
};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// Bytes of an address.
const ADDRESS: usize = 8;

/// The code of a loop over time.
pub fn emit(plan: &RepeatPlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    let mut distinct: Vec<&Plan> = Vec::new();
    let mut functions: Vec<CodeFunction> = Vec::new();
    // Where each distinct kernel begins, the driver being function 0.
    let mut entries: Vec<usize> = Vec::new();
    for launch in plan.before.iter().chain(&plan.each) {
        if distinct.contains(&&*launch.plan) {
            continue;
        }
        let unit = super::unit(&launch.plan, &format!("{name}_{}", launch.name), config);
        let first = 1 + functions.len();
        distinct.push(&launch.plan);
        entries.push(first);
        functions.extend(
            unit.functions
                .into_iter()
                .map(|function| moved(function, first)),
        );
    }
    let entry = |launch: &RepeatedLaunch| {
        let number = distinct.iter().position(|plan| **plan == *launch.plan);
        entries[number.unwrap_or_default()]
    };
    let driver = CodeFunction {
        name: name.to_owned(),
        body: Body::Clif(Box::new(driver(plan, entry, config)), Effort::Optimized),
    };
    functions.insert(0, driver);
    CodeUnit { functions }
}

/// A function of a unit that has become a part of another one, its first function being
/// number `first` there.
fn moved(mut function: CodeFunction, first: usize) -> CodeFunction {
    if let Body::Clif(clif, _) = &mut function.body {
        let names: Vec<_> = clif.params.user_named_funcs().keys().collect();
        for name in names {
            let index = clif.params.user_named_funcs()[name].index + first as u32;
            let moved = UserExternalName {
                namespace: UNIT_NAMESPACE,
                index,
            };
            clif.params.reset_user_func_name(name, moved);
        }
    }
    function
}

fn driver(
    plan: &RepeatPlan,
    entry: impl Fn(&RepeatedLaunch) -> usize,
    config: TargetFrontendConfig,
) -> ir::Function {
    let mut function = kernel_function(config);
    let mut context = FunctionBuilderContext::new();
    let (mut builder, [arguments, begin, end]) = begin_kernel(&mut function, &mut context);
    let launches = plan.before.iter().chain(&plan.each);
    let all: Vec<Call<'_>> = launches
        .map(|launch| {
            let signature = kernel_signature(config.default_call_conv);
            let bytes = (launch.arguments.len() * ADDRESS) as u32;
            let frame = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
            Call {
                launch,
                function: import(builder.func, entry(launch), signature),
                frame: builder.create_sized_stack_slot(frame),
            }
        })
        .collect();
    let mut driver = Driver { builder, arguments };
    let (before, each) = all.split_at(plan.before.len());
    let parts = Count::begin(&mut driver.builder, begin, end);
    for call in &all {
        driver.place(call, parts.index);
    }
    for call in before {
        driver.call(call);
    }
    let first = driver.builder.ins().iconst(types::I64, 0);
    let length = driver.builder.ins().iconst(types::I64, plan.length as i64);
    let steps = Count::begin(&mut driver.builder, first, length);
    let time = match plan.order {
        TimeOrder::Forward => steps.index,
        TimeOrder::Backward => {
            let last = plan.length as i64 - 1;
            let last = driver.builder.ins().iconst(types::I64, last);
            driver.builder.ins().isub(last, steps.index)
        }
    };
    for call in each {
        driver.advance(call, parts.index, time);
        driver.call(call);
    }
    steps.end(&mut driver.builder);
    parts.end(&mut driver.builder);
    end_kernel(driver.builder, config);
    function
}

/// A kernel of the body, and where the addresses of its tensors are handed to it.
struct Call<'a> {
    launch: &'a RepeatedLaunch,
    function: FuncRef,
    frame: StackSlot,
}

struct Driver<'a> {
    builder: FunctionBuilder<'a>,
    arguments: Value,
}

impl Driver<'_> {
    /// Writes down where a launch finds what does not move with time.
    fn place(&mut self, call: &Call<'_>, part: Value) {
        for (position, argument) in call.launch.arguments.iter().enumerate() {
            if argument.per_step == 0 {
                let address = self.address(argument, part);
                self.write(call, position, address);
            }
        }
    }

    /// Writes down where a launch finds the rest at some point in time.
    fn advance(&mut self, call: &Call<'_>, part: Value, time: Value) {
        for (position, argument) in call.launch.arguments.iter().enumerate() {
            if argument.per_step > 0 {
                let address = self.address(argument, part);
                let passed = self
                    .builder
                    .ins()
                    .imul_imm_s(time, argument.per_step as i64);
                let address = self.builder.ins().iadd(address, passed);
                self.write(call, position, address);
            }
        }
    }

    /// The address of a part's window at time 0.
    fn address(&mut self, argument: &Argument, part: Value) -> Value {
        let flags = MemFlagsData::trusted().with_readonly();
        let offset = (argument.of * ADDRESS) as i32;
        let whole = self
            .builder
            .ins()
            .load(types::I64, flags, self.arguments, offset);
        let start = self.builder.ins().iadd_imm_s(whole, argument.start as i64);
        let skipped = self
            .builder
            .ins()
            .imul_imm_s(part, argument.per_part as i64);
        self.builder.ins().iadd(start, skipped)
    }

    fn write(&mut self, call: &Call<'_>, position: usize, address: Value) {
        let offset = (position * ADDRESS) as i32;
        self.builder
            .ins()
            .stack_store(types::I64, address, call.frame, offset);
    }

    /// All tasks of a launch, one after the other.
    fn call(&mut self, call: &Call<'_>) {
        let frame = self.builder.ins().stack_addr(types::I64, call.frame, 0);
        let begin = self.builder.ins().iconst(types::I64, 0);
        let end = self
            .builder
            .ins()
            .iconst(types::I64, call.launch.plan.tasks() as i64);
        self.builder.ins().call(call.function, &[frame, begin, end]);
    }
}
