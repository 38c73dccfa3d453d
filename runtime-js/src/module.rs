//! From source text to a module that V8 can run.

use crate::{CellError, Position, globals, hints, stack, state::CellState};

/// Compiles the cell's source as JavaScript or, failing that, as TypeScript.
///
/// Most cells are plain JavaScript, and V8 itself says so fastest: the TypeScript compiler only sees what V8 refused.
/// `Err(None)` when the cell was stopped meanwhile.
pub(crate) fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
) -> Result<v8::Local<'s, v8::Module>, Option<Box<CellError>>> {
    let as_javascript = compile_text(scope, state, state.source.borrow().text());
    let javascript_error = match as_javascript {
        Ok(module) => return without_imports(scope, state, module),
        Err(error) => error.ok_or(None)?,
    };
    if javascript_error.name.as_deref() != Some("SyntaxError") {
        return Err(Some(javascript_error));
    }
    let compiled = state.source.borrow_mut().compile_typescript();
    let module = match compiled {
        Ok(code) => compile_text(scope, state, &code)?,
        Err(typescript_error) => return Err(Some(likelier(javascript_error, typescript_error))),
    };
    without_imports(scope, state, module)
}

/// `import(specifier)`: there is nothing to import.
pub(crate) fn import_dynamically<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _host_options: v8::Local<'s, v8::Data>,
    _resource: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    // Without a promise and without an exception V8 ends the process: nothing here may fail because of what the cell
    // passes.
    let specifier = globals::excerpt(scope, specifier, MAX_SPECIFIER_CHARS);
    let message = v8::String::new(
        scope,
        &format!("unsupported import in exec: {specifier}; {}", hints::NO_MODULES),
    )?;
    let error = v8::Exception::type_error(scope, message);
    let resolver = v8::PromiseResolver::new(scope)?;
    resolver.reject(scope, error)?;
    Some(resolver.get_promise(scope))
}

fn compile_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    text: &str,
) -> Result<v8::Local<'s, v8::Module>, Option<Box<CellError>>> {
    v8::tc_scope!(let scope, scope);
    let module = compile_module(scope, state, text);
    match module {
        Some(module) => Ok(module),
        None if scope.has_terminated() || state.is_over() => Err(None),
        None => Err(Some(match scope.exception() {
            Some(exception) => return Err(stack::describe(scope, state, exception)),
            None => Box::new(CellError {
                name: Some(String::from("RangeError")),
                message: format!("the source of {} bytes is too large", text.len()),
                ..CellError::default()
            }),
        })),
    }
}

fn compile_module<'s>(
    scope: &v8::PinScope<'s, '_>,
    state: &CellState,
    text: &str,
) -> Option<v8::Local<'s, v8::Module>> {
    let text = v8::String::new(scope, text)?;
    let name = v8::String::new(scope, state.source.borrow().file())?;
    let origin =
        v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, -1, None, false, false, true, None);
    let mut source = v8::script_compiler::Source::new(text, Some(&origin));
    v8::script_compiler::compile_module(scope, &mut source)
}

/// Refuses static imports by name.
fn without_imports<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    module: v8::Local<'s, v8::Module>,
) -> Result<v8::Local<'s, v8::Module>, Option<Box<CellError>>> {
    let requests = module.get_module_requests();
    if requests.length() == 0 {
        return Ok(module);
    }
    let Some(request) =
        requests.get(scope, 0).and_then(|data| data.try_cast::<v8::ModuleRequest>().ok())
    else {
        return Err(None);
    };
    let location = module.source_offset_to_location(request.get_source_offset());
    let source = state.source.borrow();
    // V8 counts these from 0.
    let line = u32::try_from(location.get_line_number()).unwrap_or(0) + 1;
    let column = u32::try_from(location.get_column_number()).unwrap_or(0) + 1;
    let (line, column) = source.original(line, column);
    Err(Some(Box::new(CellError {
        message: format!(
            "Unsupported import in exec: {}",
            request.get_specifier().to_rust_string_lossy(scope)
        ),
        position: Some(source.position(line, column)),
        hint: Some(String::from(hints::NO_MODULES)),
        ..CellError::default()
    })))
}

/// Of two readings of one source, the error that lies further on is the better one: the other reading stumbled over
/// syntax that it does not know. At one place V8's words are the ones that models know.
fn likelier(javascript: Box<CellError>, typescript: Box<CellError>) -> Box<CellError> {
    let place = |error: &CellError| {
        error.position.as_ref().map(|Position { line, column, .. }| (*line, *column))
    };
    if place(&typescript) > place(&javascript) { typescript } else { javascript }
}

/// So much of what a cell wants to import is repeated to it.
const MAX_SPECIFIER_CHARS: usize = 200;
