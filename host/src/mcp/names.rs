//! How servers' and tools' names appear in a cell.

/// The name under which cells see `tool` of `server`, before what no JavaScript identifier takes becomes `_`.
pub(super) fn qualified(server: &str, tool: &str) -> String {
    format!("mcp__{server}__{tool}")
}

/// `name` as an identifier, by the rule of a cell's `tools`: what no identifier takes becomes `_`.
pub(super) fn identifier(name: &str) -> String {
    name.chars()
        .enumerate()
        .map(|(index, char)| match char {
            'a'..='z' | 'A'..='Z' | '_' | '$' => char,
            '0'..='9' if index > 0 => char,
            _ => '_',
        })
        .collect()
}
