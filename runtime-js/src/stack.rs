//! Stack traces and uncaught errors, in the terms of the cell's source.

use crate::{
    CellError, Frame, globals, hints, realm::BOOTSTRAP_NAME, source::Source, state::CellState,
};

/// Makes the text of an error's `stack` when it is first read: the cell's own frames, at the places in its source.
///
/// While V8 has this callback it does not look at `Error.prepareStackTrace`, so no cell gets at the call sites of
/// code that is not its own.
pub(crate) fn prepare<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    let mut text = headline(scope, error);
    if let Some(state) = CellState::of(scope) {
        for index in 0..sites.length() {
            let Some(frame) = frame_at(scope, &state.source.borrow(), sites, index) else {
                continue;
            };
            text.push_str(&format!("\n    at {frame}"));
        }
    }
    match v8::String::new(scope, &text) {
        Some(text) => text.into(),
        None => v8::undefined(scope).into(),
    }
}

/// What a person or a model needs to know of an exception.
pub(crate) fn describe<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    exception: v8::Local<'s, v8::Value>,
) -> CellError {
    let mut error = CellError::default();
    match exception.try_cast::<v8::Object>() {
        Ok(object) if object.is_native_error() => describe_error(scope, object, &mut error),
        _ => describe_value(scope, state, exception, &mut error),
    }
    let source = state.source.borrow();
    let place = match error.frames.first() {
        Some(Frame { file, line, column, .. }) if file == source.file() => Some((*line, *column)),
        Some(_) => None,
        None => message_place(scope, &source, exception),
    };
    error.position = place.map(|(line, column)| source.position(line, column));
    error.hint = hints::for_error(&error, source.text(), &state.catalog);
    error
}

fn describe_error<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    error: &mut CellError,
) {
    v8::tc_scope!(let scope, scope);
    error.name = text_property(scope, object, "name");
    error.message = text_property(scope, object, "message").unwrap_or_default();
    error.stack = text_property(scope, object, "stack");
    if let Some(stack) = &error.stack {
        error.frames = stack.lines().filter_map(parse_frame).collect();
    }
}

/// Anything can be thrown; what is no `Error` is shown as `text` would show it.
fn describe_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
    error: &mut CellError,
) {
    v8::tc_scope!(let scope, scope);
    error.message = globals::render(scope, state, value)
        .unwrap_or_else(|| String::from("the cell threw a value that cannot be shown"));
}

/// Where V8 says the exception came from. It knows that of syntax errors, whose stack has no frame of the cell's.
fn message_place<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    source: &Source,
    exception: v8::Local<'s, v8::Value>,
) -> Option<(u32, u32)> {
    let message = v8::Exception::create_message(scope, exception);
    let script = message.get_script_resource_name(scope)?;
    if script.to_rust_string_lossy(scope) != source.file() {
        return None;
    }
    let line = u32::try_from(message.get_line_number(scope)?).ok()?;
    let column = u32::try_from(message.get_start_column()).ok()?;
    Some(source.original(line, column + 1))
}

/// `Name: message`, as `Error.prototype.toString` has it, but never a script's own idea of it.
fn headline<'s>(scope: &mut v8::PinScope<'s, '_>, error: v8::Local<'s, v8::Value>) -> String {
    let Ok(object) = error.try_cast::<v8::Object>() else {
        return error.to_rust_string_lossy(scope);
    };
    v8::tc_scope!(let scope, scope);
    let name = text_property(scope, object, "name").unwrap_or_else(|| String::from("Error"));
    match text_property(scope, object, "message") {
        Some(message) if !message.is_empty() && name.is_empty() => message,
        Some(message) if !message.is_empty() => format!("{name}: {message}"),
        _ => name,
    }
}

fn text_property<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    name: &str,
) -> Option<String> {
    let key = v8::String::new(scope, name)?;
    let value = object.get(scope, key.into())?;
    value.is_string().then(|| value.to_rust_string_lossy(scope))
}

/// One call site as V8 prints it, moved to its place in the source. `None` for frames that are not the cell's.
fn frame_at<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    source: &Source,
    sites: v8::Local<'s, v8::Array>,
    index: u32,
) -> Option<Frame> {
    let site = sites.get_index(scope, index)?.to_string(scope)?.to_rust_string_lossy(scope);
    let mut frame = parse_frame(&format!("    at {site}"))?;
    if frame.file == BOOTSTRAP_NAME {
        return None;
    }
    if frame.file == source.file() {
        (frame.line, frame.column) = source.original(frame.line, frame.column);
    }
    Some(frame)
}

/// Reads `    at function (file:line:column)` or `    at file:line:column`.
fn parse_frame(line: &str) -> Option<Frame> {
    let frame = line.strip_prefix("    at ")?;
    let (function, place) = match frame.strip_suffix(')').and_then(|frame| frame.rsplit_once(" ("))
    {
        Some((function, place)) => (Some(function.to_owned()), place),
        None => match frame.strip_prefix("async ") {
            Some(place) => (Some(String::from("async")), place),
            None => (None, frame),
        },
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Frame {
        function,
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_are_printed() {
        for text in [
            "g (cell.js:2:20)",
            "cell.js:1:7",
            "async cell.js:1:50",
            "async Promise.f (cell.js:1:50)",
            "new Foo (a b.js:3:4)",
        ] {
            let frame = parse_frame(&format!("    at {text}")).expect(text);
            assert_eq!(frame.to_string(), text);
        }
        for text in ["Array.map (<anonymous>)", "async Promise.all (index 0)", "native"] {
            assert_eq!(parse_frame(&format!("    at {text}")), None, "{text}");
        }
    }
}
