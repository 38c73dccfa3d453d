//! `text`, `image`, `audio`, `content`, `generatedImage`: what a cell shows.

use codemode_host_protocol::{Budget, ContentItem, ImageDetail};

use super::{Thrown, excerpt, render, string, throw, to_json};
use crate::state::CellState;

/// `text(value)`: shows the value as a model should read it.
pub(super) fn text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(text) = render(scope, &state, args.get(0)) else { return };
    state.show(scope, ContentItem::InputText { text });
}

/// `console.log(...values)` and its kin: one text item a call.
pub(super) fn console<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let mut line = String::new();
    for index in 0..args.length() {
        let Some(text) = render(scope, &state, args.get(index)) else { return };
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&text);
        if line.len() > state.limits.output_bytes {
            return state.refuse_output(scope, line.len(), 1);
        }
    }
    state.show(scope, ContentItem::InputText { text: line });
}

/// `image(url | {image_url, detail} | MCP image block, detail?)`.
pub(super) fn image<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    if let Ok(item) = image_item(scope, &state, args.get(0), args.get(1)) {
        state.show(scope, item);
    }
}

/// `audio(url | {audio_url} | MCP audio block)`.
pub(super) fn audio<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    if let Ok(audio_url) = media_url(scope, &state, args.get(0), &AUDIO) {
        state.show(scope, ContentItem::InputAudio { audio_url });
    }
}

/// `content(block | blocks)`: shows MCP content blocks, whatever they are.
pub(super) fn content<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Ok(list) = args.get(0).try_cast::<v8::Array>() else {
        if let Ok(item) = block_item(scope, &state, args.get(0)) {
            state.show(scope, item);
        }
        return;
    };
    // All or none is shown, so what comes together here is bounded before `show` could do it: one block may be in the
    // list a million times.
    let mut items = Vec::new();
    let mut bytes = 0;
    for index in 0..list.length() {
        let Some(block) = list.get_index(scope, index) else { return };
        let Ok(item) = block_item(scope, &state, block) else { return };
        bytes += item.len_bytes();
        items.push(item);
        if bytes > state.limits.output_bytes || items.len() > state.limits.output_items {
            return state.refuse_output(scope, bytes, items.len());
        }
        if state.is_over() {
            return;
        }
    }
    for item in items {
        state.show(scope, item);
    }
}

/// `generatedImage({...image, output_hint?})`: shows the image, then the hint.
pub(super) fn generated_image<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(result) = plain_object(args.get(0)) else {
        return throw(scope, "generatedImage expects an image generation result object");
    };
    let Ok(hint) = property(scope, result, "output_hint") else { return };
    let hint = match hint {
        hint if hint.is_undefined() => None,
        hint if hint.is_string() => match string(scope, &state, hint) {
            Ok(hint) => Some(hint),
            Err(Thrown) => return,
        },
        _ => return throw(scope, "generatedImage output_hint must be a string when provided"),
    };
    let none = v8::undefined(scope);
    let Ok(item) = image_item(scope, &state, args.get(0), none.into()) else { return };
    state.show(scope, item);
    if let Some(text) = hint {
        state.show(scope, ContentItem::InputText { text });
    }
}

/// The two media, and what their functions say to a wrong argument.
struct Medium {
    block_type: &'static str,
    url_field: &'static str,
    expects: &'static str,
    only_accepts: &'static str,
    expected_data: &'static str,
    no_remote: &'static str,
    no_data_url: &'static str,
}

const IMAGE: Medium = Medium {
    block_type: "image",
    url_field: "image_url",
    expects: "image expects a non-empty image URL string, an object with image_url and optional detail, \
              or a raw MCP image block",
    only_accepts: "image only accepts MCP image blocks, got",
    expected_data: "image expected MCP image data",
    no_remote: "Tool call failed: remote image URLs are not supported in tool outputs. \
                Pass a base64 data URI instead",
    no_data_url: "Tool call failed: invalid image output. Pass a base64 data URI instead",
};

const AUDIO: Medium = Medium {
    block_type: "audio",
    url_field: "audio_url",
    expects: "audio expects a non-empty audio URL string, an object with audio_url, \
              or a raw MCP audio block",
    only_accepts: "audio only accepts MCP audio blocks, got",
    expected_data: "audio expected MCP audio data",
    no_remote: "Tool call failed: invalid audio output. Pass a base64 data URI instead",
    no_data_url: "Tool call failed: invalid audio output. Pass a base64 data URI instead",
};

fn image_item<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
    detail: v8::Local<'s, v8::Value>,
) -> Result<ContentItem, Thrown> {
    let image_url = media_url(scope, state, value, &IMAGE)?;
    let detail =
        if detail.is_null_or_undefined() { own_detail(scope, value)? } else { Some(detail) };
    let detail = match detail {
        Some(detail) if !detail.is_null_or_undefined() => parse_detail(scope, detail)?,
        _ => ImageDetail::High,
    };
    Ok(ContentItem::InputImage { image_url, detail: Some(detail) })
}

/// The URL of a medium in any of its forms; checked to be a `data:` URL.
fn media_url<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
    medium: &Medium,
) -> Result<String, Thrown> {
    let url = if value.is_string() {
        string(scope, state, value)?
    } else if let Some(object) = plain_object(value) {
        object_url(scope, state, object, medium)?
    } else {
        String::new()
    };
    let starts_with = |prefix: &str| {
        url.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let complaint = if url.is_empty() {
        medium.expects
    } else if starts_with("data:") {
        return Ok(url);
    } else if starts_with("http://") || starts_with("https://") {
        medium.no_remote
    } else {
        medium.no_data_url
    };
    throw(scope, complaint);
    Err(Thrown)
}

/// The URL in `{image_url}` or in an MCP block; empty where there is none.
fn object_url<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    object: v8::Local<'s, v8::Object>,
    medium: &Medium,
) -> Result<String, Thrown> {
    let url = property(scope, object, medium.url_field)?;
    if url.is_string() {
        return string(scope, state, url);
    }
    let block_type = property(scope, object, "type")?;
    let Ok(block_type) = block_type.try_cast::<v8::String>() else { return Ok(String::new()) };
    let block_type = excerpt(scope, block_type, MAX_WORD_CHARS);
    if block_type != medium.block_type {
        throw(scope, &format!("{} {block_type:?}", medium.only_accepts));
        return Err(Thrown);
    }
    match block_data(scope, state, object)? {
        Some(url) => Ok(url),
        None => {
            throw(scope, medium.expected_data);
            Err(Thrown)
        }
    }
}

/// The data of an MCP image or audio block as a URL; `None` where it has none.
fn block_data<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    block: v8::Local<'s, v8::Object>,
) -> Result<Option<String>, Thrown> {
    let data = property(scope, block, "data")?;
    if !data.is_string() {
        return Ok(None);
    }
    let data = string(scope, state, data)?;
    if data.is_empty() {
        return Ok(None);
    }
    if data.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:")) {
        return Ok(Some(data));
    }
    for field in ["mimeType", "mime_type"] {
        let mime = property(scope, block, field)?;
        if mime.is_string() {
            let mime = string(scope, state, mime)?;
            return Ok(Some(format!("data:{mime};base64,{data}")));
        }
    }
    Ok(Some(format!("data:application/octet-stream;base64,{data}")))
}

fn block_item<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
) -> Result<ContentItem, Thrown> {
    let Some(block) = plain_object(value) else { return Err(no_block(scope)) };
    let Ok(block_type) = property(scope, block, "type")?.try_cast::<v8::String>() else {
        return Err(no_block(scope));
    };
    match excerpt(scope, block_type, MAX_WORD_CHARS).as_str() {
        "text" => {
            let text = property(scope, block, "text")?;
            if !text.is_string() {
                return Err(no_block(scope));
            }
            Ok(ContentItem::InputText { text: string(scope, state, text)? })
        }
        "image" => {
            let none = v8::undefined(scope);
            image_item(scope, state, value, none.into())
        }
        "audio" => {
            Ok(ContentItem::InputAudio { audio_url: media_url(scope, state, value, &AUDIO)? })
        }
        "resource" | "resource_link" => match to_json(scope, state, value, Budget::OutputBytes)? {
            Some(json) => Ok(ContentItem::text(json.text())),
            None => Err(no_block(scope)),
        },
        _ => Err(no_block(scope)),
    }
}

fn no_block(scope: &mut v8::PinScope<'_, '_>) -> Thrown {
    throw(
        scope,
        "content expects one MCP ContentBlock, or an array of them: an object whose type is text, \
         image, audio, resource or resource_link; for any other value use text(value)",
    );
    Thrown
}

/// The detail that an image object itself asks for.
fn own_detail<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<Option<v8::Local<'s, v8::Value>>, Thrown> {
    let Some(object) = plain_object(value) else { return Ok(None) };
    if property(scope, object, "image_url")?.is_string() {
        return property(scope, object, "detail").map(Some);
    }
    let Some(meta) = plain_object(property(scope, object, "_meta")?) else { return Ok(None) };
    let detail = property(scope, meta, "codex/imageDetail")?;
    let Ok(word) = detail.try_cast::<v8::String>() else { return Ok(None) };
    let known = known_detail(&excerpt(scope, word, MAX_WORD_CHARS)).is_some();
    Ok(known.then_some(detail))
}

fn parse_detail(
    scope: &mut v8::PinScope<'_, '_>,
    detail: v8::Local<'_, v8::Value>,
) -> Result<ImageDetail, Thrown> {
    let Ok(detail) = detail.try_cast::<v8::String>() else {
        throw(scope, "image detail must be a string when provided");
        return Err(Thrown);
    };
    known_detail(&excerpt(scope, detail, MAX_WORD_CHARS)).ok_or_else(|| {
        throw(scope, "image detail must be one of: auto, low, high, original");
        Thrown
    })
}

fn known_detail(detail: &str) -> Option<ImageDetail> {
    match detail.to_ascii_lowercase().as_str() {
        "auto" => Some(ImageDetail::Auto),
        "low" => Some(ImageDetail::Low),
        "high" => Some(ImageDetail::High),
        "original" => Some(ImageDetail::Original),
        _ => None,
    }
}

/// An object that is neither an array, nor a function, nor a boxed primitive.
fn plain_object<'s>(value: v8::Local<'s, v8::Value>) -> Option<v8::Local<'s, v8::Object>> {
    if value.is_array() || value.is_function() || value.is_string_object() {
        return None;
    }
    value.try_cast::<v8::Object>().ok()
}

fn property<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    name: &str,
) -> Result<v8::Local<'s, v8::Value>, Thrown> {
    let key = v8::String::new(scope, name).ok_or(Thrown)?;
    object.get(scope, key.into()).ok_or(Thrown)
}

/// Longer than any word that is looked for.
const MAX_WORD_CHARS: usize = 100;
