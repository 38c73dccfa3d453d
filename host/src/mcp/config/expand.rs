//! `${NAME}` and `${NAME:-default}`.

/// `text` with variables replaced by their values.
///
/// `${env:NAME}`, as some clients write it, is the same as `${NAME}`. A `$` that begins nothing stays as it is.
pub(super) fn expand(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        expanded.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else {
            return Err(String::from("has a `${` without `}`; write ${NAME} or ${NAME:-default}"));
        };
        let inside = &rest[start + 2..start + end];
        expanded.push_str(&value(inside, environment)?);
        rest = &rest[start + end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value(inside: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let name = name.strip_prefix("env:").unwrap_or(name);
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if !is_name {
        return Err(format!(
            "`${{{inside}}}` names no environment variable; write ${{NAME}} or ${{NAME:-default}}"
        ));
    }
    // As in a shell, `:-` also stands in for a variable that is empty.
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the environment variable {name} is not set; set it, or give a default: ${{{name}:-default}}"
        )),
    }
}
