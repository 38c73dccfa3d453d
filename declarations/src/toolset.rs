//! Tools in the places where a cell finds them.

use std::collections::HashSet;

use codemode_host_protocol::{Json, ToolDefinition, ToolKind, identifier};
use indexmap::IndexMap;

use crate::{
    docs::{INDENT, comment, readable},
    print::{Printer, Style},
    schema,
    share::{Shared, pascal_case},
    tree::Tree,
    types::{TypeId, Types},
};

/// Tools and the types that they take and give.
pub(crate) struct Toolset {
    pub(crate) groups: Vec<Group>,
    pub(crate) shared: Shared,
}

/// The tools of one server, or those that are nobody's.
pub(crate) struct Group {
    /// Where in `tools` they are; `None` for `tools` itself.
    pub(crate) name: Option<String>,
    pub(crate) tools: Vec<Tool>,
}

/// A tool.
pub(crate) struct Tool {
    /// Its name in its group.
    pub(crate) name: String,
    docs: String,
    input: Input,
    output: Option<TypeId>,
}

enum Input {
    Anything,
    Text,
    Arguments { of: TypeId, optional: bool },
}

impl Toolset {
    /// Of two tools with one name in one place the later one is there.
    pub(crate) fn new(definitions: &[ToolDefinition]) -> Toolset {
        Toolset::of(definitions, definitions)
    }

    /// One of `definitions` alone, in its place among all of them.
    pub(crate) fn of_one(definitions: &[ToolDefinition], place: usize) -> Toolset {
        let one = definitions.get(place).map(std::slice::from_ref).unwrap_or_default();
        Toolset::of(definitions, one)
    }

    /// `shown`, which are some of `definitions`.
    fn of(definitions: &[ToolDefinition], shown: &[ToolDefinition]) -> Toolset {
        let flat: HashSet<String> =
            definitions.iter().map(|definition| identifier(&definition.name)).collect();
        let mut places: IndexMap<(Option<String>, String), &ToolDefinition> = IndexMap::new();
        for definition in shown {
            let namespace = definition.tool_name.namespace.as_deref().map(identifier);
            let place = match namespace {
                // Its place is taken by a tool: its own are found by their long names alone.
                Some(namespace) if !flat.contains(&namespace) => {
                    (Some(namespace), identifier(&definition.tool_name.name))
                }
                _ => (None, identifier(&definition.name)),
            };
            places.insert(place, definition);
        }
        let mut by_group: IndexMap<Option<String>, Vec<(String, &ToolDefinition)>> =
            IndexMap::new();
        by_group.insert(None, Vec::new());
        for ((group, name), definition) in places {
            by_group.entry(group).or_default().push((name, definition));
        }
        by_group.retain(|_, tools| !tools.is_empty());
        let mut types = Types::default();
        let mut groups: Vec<Group> = by_group
            .into_iter()
            .map(|(name, tools)| {
                let tool = |(name, definition)| Tool::new(name, definition, &mut types);
                Group { name, tools: tools.into_iter().map(tool).collect() }
            })
            .collect();
        let tools = groups.iter().flat_map(|group| &group.tools);
        let mut roots: Vec<TypeId> = tools.flat_map(Tool::types).collect();
        let shared = Shared::of(types, &mut roots);
        let tools = groups.iter_mut().flat_map(|group| &mut group.tools);
        for (ty, now) in tools.flat_map(Tool::types_mut).zip(roots) {
            *ty = now;
        }
        Toolset { groups, shared }
    }

    pub(crate) fn printer(&self, style: Style) -> Printer<'_> {
        Printer { shared: &self.shared, style }
    }

    /// How its first tool is called.
    pub(crate) fn signature(&self) -> Option<String> {
        let tool = self.groups.first()?.tools.first()?;
        Some(tool.signature(&self.printer(Style::Brief), 0))
    }

    /// All tools in full.
    pub(crate) fn text(&self) -> String {
        let printer = self.printer(Style::Full);
        let mut out = String::new();
        for declared in self.shared.declared.values() {
            out.push_str(&printer.declaration(declared));
            out.push('\n');
        }
        out.push_str(HEAD);
        let mut is_first = true;
        for group in &self.groups {
            if !std::mem::take(&mut is_first) {
                out.push('\n');
            }
            out.push_str(&group.head());
            for (index, tool) in group.tools.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                out.push_str(&tool.text(&printer, group.level()));
            }
            out.push_str(group.tail());
        }
        out.push_str(TAIL);
        out
    }
}

impl Group {
    /// Of the lines of its tools.
    pub(crate) fn level(&self) -> usize {
        if self.name.is_some() { 2 } else { 1 }
    }

    pub(crate) fn head(&self) -> String {
        match &self.name {
            Some(name) => format!("{INDENT}{name}: {{\n"),
            None => String::new(),
        }
    }

    pub(crate) fn tail(&self) -> &'static str {
        if self.name.is_some() { "  };\n" } else { "" }
    }
}

impl Tool {
    fn new(name: String, definition: &ToolDefinition, types: &mut Types) -> Tool {
        let read = |schema: &Option<Json>| schema.as_ref().and_then(Tree::read);
        let of = pascal_case(&name);
        let output = read(&definition.output_schema);
        let mut docs = vec![readable(&definition.description)];
        let result =
            output.as_ref().and_then(|schema| schema.as_object()?.get("description")?.as_str());
        docs.extend(
            result.map(readable).filter(|it| !it.is_empty()).map(|it| format!("@returns {it}")),
        );
        docs.retain(|line| !line.is_empty());
        let input = match (definition.kind, read(&definition.input_schema)) {
            (ToolKind::Freeform, _) => Input::Text,
            (ToolKind::Function, None) => Input::Anything,
            (ToolKind::Function, Some(schema)) => Input::Arguments {
                of: schema::convert(types, &schema, &format!("{of}Input")),
                optional: schema::needs_nothing(&schema),
            },
        };
        let output = output.map(|schema| schema::convert(types, &schema, &format!("{of}Output")));
        Tool { name, docs: docs.join("\n"), input, output }
    }

    /// Those of its input and of its result.
    pub(crate) fn types(&self) -> impl Iterator<Item = TypeId> {
        let input = match &self.input {
            Input::Arguments { of, .. } => Some(*of),
            Input::Anything | Input::Text => None,
        };
        input.into_iter().chain(self.output)
    }

    fn types_mut(&mut self) -> impl Iterator<Item = &mut TypeId> {
        let input = match &mut self.input {
            Input::Arguments { of, .. } => Some(of),
            Input::Anything | Input::Text => None,
        };
        input.into_iter().chain(&mut self.output)
    }

    /// Its declaration, on lines of this level.
    pub(crate) fn text(&self, printer: &Printer<'_>, level: usize) -> String {
        let docs = match printer.style {
            Style::Full => comment(&self.docs, level),
            Style::Brief | Style::Inline => String::new(),
        };
        // `new(…)` would say what the object itself makes.
        let name = if self.name == "new" { "\"new\"" } else { &self.name };
        let signature = self.signature(printer, level);
        format!("{docs}{}{name}{signature};\n", INDENT.repeat(level))
    }

    /// What it takes and gives.
    fn signature(&self, printer: &Printer<'_>, level: usize) -> String {
        let input = match &self.input {
            Input::Anything => String::from("args?: unknown"),
            Input::Text => String::from("input: string"),
            Input::Arguments { of, optional } => {
                let mark = if *optional { "?" } else { "" };
                format!("args{mark}: {}", printer.text(*of, level))
            }
        };
        let output = match self.output {
            Some(output) => printer.text(output, level),
            None => String::from("unknown"),
        };
        format!("({input}): Promise<{output}>")
    }
}

pub(crate) const HEAD: &str = "declare const tools: {\n";

pub(crate) const TAIL: &str = "};\n";
