//! Code before it is compiled: what every emitter makes of a kernel.

use cranelift_codegen::ir::{
    self, AbiParam, ExtFuncData, ExternalName, FuncRef, InstBuilder, Signature, UserExternalName,
    UserFuncName, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// The functions of one kernel. They may call each other by their positions (see
/// [`import`]); the first is the entry and has the signature of a kernel.
#[derive(Clone)]
pub struct CodeUnit {
    /// Entry first.
    pub functions: Vec<CodeFunction>,
}

/// One function of a unit.
#[derive(Clone)]
pub struct CodeFunction {
    /// For dumps and profilers; need not be unique.
    pub name: String,
    /// What it does.
    pub body: Body,
}

/// Code in one of two forms.
#[derive(Clone)]
pub enum Body {
    /// To be compiled by Cranelift.
    Clif(Box<ir::Function>, Effort),
    /// Machine code: position-independent, without relocations.
    Bytes(Vec<u8>),
}

/// How hard Cranelift tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Instructions stay where the emitter put them. It knows the loops; the optimiser
    /// sinks addresses back into them and spills register tiles.
    Verbatim,
    /// Everything else.
    Optimized,
}

/// The signature of a kernel's entry: `(args: *const *mut u8, begin: u64, end: u64)`.
pub fn kernel_signature(call_conv: CallConv) -> Signature {
    let mut signature = Signature::new(call_conv);
    signature.params.extend([types::I64; 3].map(AbiParam::new));
    signature
}

/// A kernel's entry without code.
pub fn kernel_function(config: TargetFrontendConfig) -> ir::Function {
    let signature = kernel_signature(config.default_call_conv);
    ir::Function::with_name_signature(UserFuncName::default(), signature)
}

/// Opens a kernel's entry: the table of its arguments, the first task and the one behind the last.
pub fn begin_kernel<'a>(
    function: &'a mut ir::Function,
    context: &'a mut FunctionBuilderContext,
) -> (FunctionBuilder<'a>, [ir::Value; 3]) {
    let mut b = FunctionBuilder::new(function, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let &[table, begin, end] = b.block_params(entry) else {
        unreachable!("a kernel takes three parameters");
    };
    (b, [table, begin, end])
}

/// Closes it.
pub fn end_kernel(mut b: FunctionBuilder<'_>, config: TargetFrontendConfig) {
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
}

/// The namespace of names that mean positions within a unit.
pub const UNIT_NAMESPACE: u32 = 0;

/// Makes function `position` of the same unit callable from `function`.
///
/// Functions in bytes take `CallConv::SystemV` on every system: Cranelift translates at the call.
pub fn import(function: &mut ir::Function, position: usize, signature: Signature) -> FuncRef {
    let signature = function.import_signature(signature);
    let name = function.declare_imported_user_function(UserExternalName {
        namespace: UNIT_NAMESPACE,
        index: position as u32,
    });
    function.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: true,
        patchable: false,
    })
}

/// A kernel of machine code. Where kernels are not called the System V way, a function in
/// front of it translates.
pub(super) fn through(name: &str, bytes: Vec<u8>, config: TargetFrontendConfig) -> CodeUnit {
    let kernel = CodeFunction {
        name: name.to_owned(),
        body: Body::Bytes(bytes),
    };
    if config.default_call_conv == CallConv::SystemV {
        return CodeUnit {
            functions: vec![kernel],
        };
    }
    let mut function = kernel_function(config);
    let callee = import(&mut function, 1, kernel_signature(CallConv::SystemV));
    let mut context = FunctionBuilderContext::new();
    let (mut b, parameters) = begin_kernel(&mut function, &mut context);
    b.ins().call(callee, &parameters);
    end_kernel(b, config);
    let entry = CodeFunction {
        name: format!("{name}_entry"),
        body: Body::Clif(Box::new(function), Effort::Verbatim),
    };
    CodeUnit {
        functions: vec![entry, kernel],
    }
}
