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
    let undefined = v8::undefined(scope).into();
    let Some(state) = CellState::of(scope) else { return undefined };
    let mut text = headline(scope, &state, error);
    for index in 0..sites.length() {
        // How many frames there are, and how long their names, is the cell's choice.
        if text.len() > MAX_STACK_CHARS || state.is_over() {
            break;
        }
        if let Some(frame) = frame_at(scope, &state.source.borrow(), sites, index) {
            text.push_str(&format!("\n    at {frame}"));
        }
    }
    v8::String::new(scope, &text).map_or(undefined, Into::into)
}

/// What a person or a model needs to know of an exception. Runs the cell's code, getters for example; `None` when the cell is
/// over before that is done.
pub(crate) fn describe<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    exception: v8::Local<'s, v8::Value>,
) -> Option<Box<CellError>> {
    let mut error = CellError::default();
    match exception.try_cast::<v8::Object>() {
        Ok(object) if object.is_native_error() => {
            describe_error(scope, state, object, &mut error);
        }
        _ => describe_value(scope, state, exception, &mut error),
    }
    // Before the source is lent: no code of the cell's runs from here on.
    if state.is_over() {
        return None;
    }
    let source = state.source.borrow();
    let place = match error.frames.first() {
        Some(Frame { file, line, column, .. }) if file == source.file() => Some((*line, *column)),
        Some(_) => None,
        None => message_place(scope, &source, exception),
    };
    error.position = place.map(|(line, column)| source.position(line, column));
    error.hint = hints::for_error(&error, source.text(), &state.catalog, state.has_namespaces());
    Some(Box::new(error))
}

fn describe_error<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    object: v8::Local<'s, v8::Object>,
    error: &mut CellError,
) {
    v8::tc_scope!(let scope, scope);
    error.name = text_property(scope, state, object, "name", MAX_NAME_CHARS)
        .or_else(|| Some(String::from("Error")));
    error.message =
        text_property(scope, state, object, "message", MAX_MESSAGE_CHARS).unwrap_or_default();
    error.stack = text_property(scope, state, object, "stack", MAX_STACK_CHARS + MAX_MESSAGE_CHARS);
    if let Some(stack) = &error.stack {
        error.frames = stack.lines().filter_map(parse_frame).take(MAX_FRAMES).collect();
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
    if let Ok(text) = value.try_cast::<v8::String>() {
        error.message = globals::excerpt(scope, text, MAX_MESSAGE_CHARS);
        return;
    }
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
fn headline<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    error: v8::Local<'s, v8::Value>,
) -> String {
    let Ok(object) = error.try_cast::<v8::Object>() else { return String::new() };
    v8::tc_scope!(let scope, scope);
    let name = text_property(scope, state, object, "name", MAX_NAME_CHARS)
        .unwrap_or_else(|| String::from("Error"));
    match text_property(scope, state, object, "message", MAX_MESSAGE_CHARS) {
        Some(message) if !message.is_empty() && name.is_empty() => message,
        Some(message) if !message.is_empty() => format!("{name}: {message}"),
        _ => name,
    }
}

/// A property that is a string, cut to `max` characters. Once the cell is over none of its code is run any more: a
/// termination reaches just one getter.
fn text_property<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    object: v8::Local<'s, v8::Object>,
    name: &str,
    max: usize,
) -> Option<String> {
    if state.is_over() {
        return None;
    }
    let key = v8::String::new(scope, name)?;
    let value = object.get(scope, key.into())?;
    Some(globals::excerpt(scope, value.try_cast::<v8::String>().ok()?, max))
}

/// One call site as V8 prints it, moved to its place in the source. `None` for frames that are not the cell's.
fn frame_at<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    source: &Source,
    sites: v8::Local<'s, v8::Array>,
    index: u32,
) -> Option<Frame> {
    let site = sites.get_index(scope, index)?.try_cast::<v8::Object>().ok()?;
    // By V8's own method: a conversion would look for `Symbol.toPrimitive` first, and a cell that put one on
    // `Object.prototype` would be handed the call site.
    let key = v8::String::new(scope, "toString")?;
    let print = site.get(scope, key.into())?.try_cast::<v8::Function>().ok()?;
    let text = print.call(scope, site.into(), &[])?.try_cast::<v8::String>().ok()?;
    let text = globals::excerpt(scope, text, MAX_NAME_CHARS);
    let mut frame = parse_frame(&format!("    at {text}"))?;
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

/// Longer names are cut, and frames of functions with such names left out.
const MAX_NAME_CHARS: usize = 4 << 10;

/// Longer messages are cut: nobody reads more, and a message of half a gigabyte costs the cell next to nothing.
const MAX_MESSAGE_CHARS: usize = 1 << 20;

/// No frame is added to a longer stack.
const MAX_STACK_CHARS: usize = 64 << 10;

/// A cell may write a `stack` of its own, of any number of lines.
const MAX_FRAMES: usize = 1_000;

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
