//! What models get wrong, and what to tell them.

use crate::{CellError, ToolCatalog, catalog::nearest_of};

/// Why nothing can be imported.
pub(crate) const NO_MODULES: &str = "a cell has no modules and no packages; what it can reach are the tools: await tools.name(input)";

/// Advice on an error, where its cause is a habit from other environments.
pub(crate) fn for_error(
    error: &CellError,
    source: &str,
    catalog: &ToolCatalog,
    with_namespaces: bool,
) -> Option<String> {
    let message = error.message.as_str();
    match error.name.as_deref()? {
        "SyntaxError" if message == "Illegal return statement" => Some(String::from(
            "a cell is a module, not a function: show a value with text(value), stop early with exit()",
        )),
        "SyntaxError" if is_markdown(source) => Some(String::from(
            "this looks like Markdown; send the code alone, or in one fence with nothing around it",
        )),
        "ReferenceError" => undefined_name(message.strip_suffix(" is not defined")?, catalog),
        "TypeError" if with_namespaces => missing_tool_of_namespace(message, source, catalog)
            .or_else(|| missing_tool(message, source, catalog)),
        "TypeError" => missing_tool(message, source, catalog),
        _ => None,
    }
}

fn is_markdown(source: &str) -> bool {
    source.lines().any(|line| line.trim_start().starts_with("```"))
}

fn undefined_name(name: &str, catalog: &ToolCatalog) -> Option<String> {
    let instead = match name {
        "require" | "module" | "exports" => NO_MODULES,
        "console" => "show a value with text(value)",
        "fetch" | "XMLHttpRequest" | "WebSocket" => {
            "a cell has no network of its own; what it can reach are the tools: await tools.name(input)"
        }
        "process" | "Deno" | "Bun" | "Buffer" | "__dirname" | "__filename" | "fs" | "os"
        | "path" | "child_process" => {
            "a cell has no file system and no process of its own; use the tools: await tools.name(input)"
        }
        "window" | "document" | "navigator" | "localStorage" => "a cell is not a web page",
        "setInterval" | "setImmediate" | "queueMicrotask" => {
            "there are setTimeout and clearTimeout, and promises"
        }
        "structuredClone" => "copy with JSON.parse(JSON.stringify(value))",
        "WebAssembly" | "SharedArrayBuffer" | "Atomics" => "a cell has none of it, by design",
        "print" | "log" | "display" | "output" => "show a value with text(value)",
        "sleep" => "wait with await new Promise((resolve) => setTimeout(resolve, ms))",
        _ => return nearest(name, catalog),
    };
    if catalog.index_of(name).is_some() {
        return Some(format!("it is a tool: await tools.{name}(input)"));
    }
    Some(String::from(instead))
}

/// Something that is not there was called or looked into: was it a tool that the cell has not?
fn missing_tool(message: &str, source: &str, catalog: &ToolCatalog) -> Option<String> {
    let called = message.strip_suffix(" is not a function");
    if called.is_none() && !message.starts_with("Cannot read properties of undefined") {
        return None;
    }
    // V8 names what was called as the source has it; a name that was taken from `tools` before, only the source tells.
    let name = called
        .and_then(|called| called.strip_prefix("tools."))
        .map(|name| name.split(['.', '[', '(']).next().unwrap_or(name))
        .or_else(|| unknown_tools(source, catalog).next())?;
    if let Some(hint) = nearest(name, catalog) {
        return Some(format!("there is no tool {name}; {hint}"));
    }
    let all: Vec<&str> = catalog.identifiers().take(MAX_LISTED + 1).collect();
    Some(match all.as_slice() {
        [] => String::from("this cell has no tools"),
        all if all.len() <= MAX_LISTED => {
            format!("there is no tool {name}; the tools are {}", all.join(", "))
        }
        _ => format!("there is no tool {name}; ALL_TOOLS lists those there are"),
    })
}

/// The same where tools are found by namespace too.
fn missing_tool_of_namespace(message: &str, source: &str, catalog: &ToolCatalog) -> Option<String> {
    if let Some(called) = message.strip_suffix(" is not a function") {
        let path = called.strip_prefix("tools.")?;
        let name = path.split(['(', '[']).next().unwrap_or(path);
        let (namespace, tool) = name.split_once('.').unwrap_or((name, ""));
        if tool.is_empty() && catalog.namespace_of(namespace).is_some() {
            return Some(format!(
                "tools.{namespace} has the tools of {namespace}, and is none: {}",
                few(namespace, catalog)
            ));
        }
        catalog.namespace_of(namespace)?;
        return Some(no_such_tool(name, catalog));
    }
    if !message.starts_with("Cannot read properties of undefined") {
        return None;
    }
    let name = unknown_tools(source, catalog).find(|name| catalog.namespace_of(name).is_none())?;
    let near = nearest_of(name, catalog.namespaces_named());
    let near: Vec<String> = near.iter().map(|name| format!("tools.{name}")).collect();
    (!near.is_empty())
        .then(|| format!("there is no {name} in tools; did you mean {}?", near.join(" or ")))
}

/// What to say of a tool that a cell has not: of a path or a name, where tools are found by namespace too.
pub(crate) fn no_such_tool(name: &str, catalog: &ToolCatalog) -> String {
    let path = name.strip_prefix("tools.").unwrap_or(name);
    if path.len() > MAX_NAME_BYTES {
        return String::from("there is no tool of such a long name");
    }
    let paths = |near: Vec<&str>, of: Option<&str>| {
        let path = |name: &&str| match of {
            Some(namespace) => format!("tools.{namespace}.{name}"),
            None => format!("tools.{name}"),
        };
        near.iter().map(path).collect::<Vec<String>>().join(" or ")
    };
    let near = match path.split_once('.') {
        Some((namespace, tool)) => match catalog.namespace_of(namespace) {
            Some(names) => {
                let near = nearest_of(tool, names.iter());
                if near.is_empty() {
                    return format!(
                        "there is no tool {tool} in tools.{namespace}; {}",
                        few(namespace, catalog)
                    );
                }
                paths(near, Some(namespace))
            }
            None => paths(nearest_of(namespace, catalog.namespaces_named()), None),
        },
        None => paths(catalog.nearest(path), None),
    };
    match near.as_str() {
        "" => format!("there is no tool {path}; search_tools(query) finds those there are"),
        near => format!("there is no tool {path}; did you mean {near}?"),
    }
}

/// Some tools of a namespace.
fn few(namespace: &str, catalog: &ToolCatalog) -> String {
    let names: Vec<&str> =
        catalog.namespace_of(namespace).into_iter().flat_map(|names| names.iter()).collect();
    match names.len() {
        all if all <= MAX_LISTED => format!("it has {}", names.join(", ")),
        all => format!("it has {} and {} more", names[..MAX_LISTED].join(", "), all - MAX_LISTED),
    }
}

/// The names behind `tools.` in the source that are no tools.
fn unknown_tools<'a>(source: &'a str, catalog: &'a ToolCatalog) -> impl Iterator<Item = &'a str> {
    source.split("tools.").skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        (!name.is_empty() && catalog.index_of(name).is_none()).then_some(name)
    })
}

fn nearest(name: &str, catalog: &ToolCatalog) -> Option<String> {
    // A cell can throw an error about any name, and comparing takes as long as both names.
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    if catalog.index_of(name).is_some() {
        return Some(format!("it is a tool: await tools.{name}(input)"));
    }
    let near: Vec<String> =
        catalog.nearest(name).iter().map(|name| format!("tools.{name}")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// So many names are read; more are looked up.
const MAX_LISTED: usize = 12;

/// Nobody mistakes a longer name for a tool's.
const MAX_NAME_BYTES: usize = 200;
