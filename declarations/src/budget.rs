//! As much of the declarations as fits.

use std::collections::HashMap;

use indexmap::IndexSet;

use crate::{
    docs::INDENT,
    print::Style,
    toolset::{Group, HEAD, TAIL, Toolset},
};

/// The declarations of all tools within a number of tokens; see [`render_within`](crate::render_within).
pub(crate) fn within(toolset: &Toolset, max_tokens: usize) -> String {
    let whole = toolset.text();
    if fits(&whole, max_tokens) {
        return whole;
    }
    let parts = Parts::of(toolset);
    // Plans are made in bytes, of which a token takes more or less. The limit in bytes is closed in on from both sides.
    let (mut low, mut high) = (0, usize::MAX);
    let mut best = String::new();
    let mut bytes = max_tokens.saturating_mul(BYTES_PER_TOKEN);
    for _ in 0..MAX_ATTEMPTS {
        let text = parts.text(toolset, &parts.plan(toolset, bytes));
        let tokens = count(&text);
        let scaled = (bytes as u128 * max_tokens as u128 / tokens.max(1) as u128) as usize;
        if tokens <= max_tokens {
            low = bytes;
            if text.len() > best.len() {
                best = text;
            }
            if tokens * 50 >= max_tokens * 49 || high <= low + 1 {
                break;
            }
            bytes = scaled.clamp(low + 1, high - 1);
        } else {
            high = bytes;
            if high <= low + 1 {
                break;
            }
            // What was planned is not used to the last byte.
            bytes = (scaled - scaled / 50).clamp(low + 1, high - 1);
        }
    }
    if best.is_empty() && fits(REST, max_tokens) {
        return String::from(REST);
    }
    best
}

/// The declaration of a toolset that has one tool.
pub(crate) fn description(toolset: &Toolset) -> String {
    let whole = toolset.text();
    if whole.len() <= MAX_DESCRIPTION_BYTES {
        return whole;
    }
    let parts = Parts::of(toolset);
    let plan = parts.tools.iter().map(|tools| vec![Form::Brief; tools.len()]).collect();
    let brief = parts.text(toolset, &plan);
    let brief = brief.trim_end_matches(REST);
    if brief.len() <= MAX_DESCRIPTION_BYTES {
        return format!("// Without comments: with them, it takes {} bytes.\n{brief}", whole.len());
    }
    let beginning = &brief[..brief.floor_char_boundary(MAX_DESCRIPTION_BYTES)];
    format!("{beginning}\n// And so on: the whole takes {} bytes.\n", brief.len())
}

/// The texts that the whole is put together from.
struct Parts {
    /// Group by group.
    tools: Vec<Vec<Forms>>,
    /// Declared types in brief and in full.
    types: Vec<[String; 2]>,
}

/// A tool in all its forms.
struct Forms {
    /// In brief and in full.
    texts: [String; 2],
    /// The declared types that it needs.
    types: IndexSet<usize>,
}

/// How much is said of a tool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Counted,
    Named,
    Brief,
    Full,
}

/// Of each tool, group by group.
type Plan = Vec<Vec<Form>>;

impl Parts {
    fn of(toolset: &Toolset) -> Parts {
        let printers = [Style::Brief, Style::Full].map(|style| toolset.printer(style));
        let types = toolset.shared.declared.values();
        Parts {
            tools: toolset
                .groups
                .iter()
                .map(|group| {
                    let forms = group.tools.iter().map(|tool| Forms {
                        texts: printers.each_ref().map(|printer| tool.text(printer, group.level())),
                        types: tool.types().flat_map(|ty| toolset.shared.reach(ty)).collect(),
                    });
                    forms.collect()
                })
                .collect(),
            types: types
                .map(|declared| printers.each_ref().map(|printer| printer.declaration(declared)))
                .collect(),
        }
    }

    /// First all tools have their names said, then their signatures are shown, then all that there is to say: each as far as
    /// there is room, and in turn, so that each server has the same room.
    fn plan(&self, toolset: &Toolset, bytes: usize) -> Plan {
        let heads = toolset
            .groups
            .iter()
            .map(|group| group.head().len() + group.tail().len() + MORE.len() + 8);
        let mut left =
            bytes.saturating_sub(HEAD.len() + TAIL.len() + REST.len() + heads.sum::<usize>());
        let mut plan: Plan =
            self.tools.iter().map(|tools| vec![Form::Counted; tools.len()]).collect();
        let mut types: HashMap<usize, Form> = HashMap::new();
        for form in [Form::Named, Form::Brief, Form::Full] {
            let mut next = vec![0; plan.len()];
            let mut taken = vec![0; plan.len()];
            // Whoever has taken least is next.
            while let Some(group) = (0..plan.len())
                .filter(|group| next[*group] < plan[*group].len())
                .min_by_key(|group| (taken[*group], *group))
            {
                let tool = next[group];
                next[group] += 1;
                let before = plan[group][tool];
                let name = &toolset.groups[group].tools[tool].name;
                let forms = &self.tools[group][tool];
                let mut cost = forms.bytes(name, form).saturating_sub(forms.bytes(name, before));
                let needed = if form == Form::Named { None } else { Some(&forms.types) };
                let more = || {
                    let needed = needed.into_iter().flatten();
                    needed.filter(|place| types.get(*place).is_none_or(|shown| *shown < form))
                };
                for place in more() {
                    let shown = types
                        .get(place)
                        .map_or(0, |shown| self.type_text(*place, *shown).len() + 1);
                    cost += (self.type_text(*place, form).len() + 1).saturating_sub(shown);
                }
                // What is shown with its signature is not worth it without its name.
                if cost > left || (form > Form::Named && before == Form::Counted) {
                    continue;
                }
                let more: Vec<usize> = more().copied().collect();
                types.extend(more.into_iter().map(|place| (place, form)));
                left -= cost;
                taken[group] += cost;
                plan[group][tool] = form;
            }
        }
        plan
    }

    fn type_text(&self, place: usize, form: Form) -> &str {
        &self.types[place][usize::from(form == Form::Full)]
    }

    fn text(&self, toolset: &Toolset, plan: &Plan) -> String {
        let mut types: HashMap<usize, Form> = HashMap::new();
        for (forms, form) in self.tools.iter().flatten().zip(plan.iter().flatten()) {
            if *form < Form::Brief {
                continue;
            }
            for place in &forms.types {
                let shown = types.entry(*place).or_insert(*form);
                *shown = (*shown).max(*form);
            }
        }
        let mut out = String::new();
        for place in 0..self.types.len() {
            if let Some(form) = types.get(&place) {
                out.push_str(self.type_text(place, *form));
                if *form == Form::Full {
                    out.push('\n');
                }
            }
        }
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        out.push_str(HEAD);
        for (index, group) in toolset.groups.iter().enumerate() {
            self.group(&mut out, group, &self.tools[index], &plan[index]);
        }
        out.push_str(TAIL);
        out.push_str(REST);
        out
    }

    fn group(&self, out: &mut String, group: &Group, tools: &[Forms], plan: &[Form]) {
        out.push_str(&group.head());
        for (forms, form) in tools.iter().zip(plan) {
            match form {
                Form::Counted | Form::Named => {}
                Form::Brief => out.push_str(&forms.texts[0]),
                Form::Full => out.push_str(&forms.texts[1]),
            }
        }
        let of_form = |form| group.tools.iter().zip(plan).filter(move |(_, its)| **its == form);
        let names: Vec<&str> = of_form(Form::Named).map(|(tool, _)| tool.name.as_str()).collect();
        let counted = of_form(Form::Counted).count();
        let indent = INDENT.repeat(group.level());
        match (names.as_slice(), counted) {
            ([], 0) => {}
            ([], 1) => out.push_str(&format!("{indent}// 1 tool\n")),
            ([], counted) => out.push_str(&format!("{indent}// {counted} tools\n")),
            (names, 0) => out.push_str(&format!("{indent}{MORE}{}\n", names.join(", "))),
            (names, counted) => {
                let names = names.join(", ");
                out.push_str(&format!("{indent}{MORE}{names}, and {counted} more\n"));
            }
        }
        out.push_str(group.tail());
    }
}

impl Forms {
    fn bytes(&self, name: &str, form: Form) -> usize {
        match form {
            Form::Counted => 0,
            Form::Named => name.len() + ", ".len(),
            Form::Brief => self.texts[0].len(),
            Form::Full => self.texts[1].len(),
        }
    }
}

fn fits(text: &str, max_tokens: usize) -> bool {
    // No token is less than a byte: most need no vocabulary, which takes 100 ms to load.
    if text.len() <= max_tokens {
        return true;
    }
    let tokenizer = bpe_openai::o200k_base();
    tokenizer.count_till_limit(&tokenizer.normalize(text), max_tokens).is_some()
}

fn count(text: &str) -> usize {
    bpe_openai::o200k_base().count(text)
}

/// Some 8,000 tokens: more than anybody reads.
const MAX_DESCRIPTION_BYTES: usize = 32 << 10;

const MORE: &str = "// more: ";

/// The last line, where not all is declared.
const REST: &str = "// Not all tools are declared here in full. In a cell, ALL_TOOLS lists them, search_tools(query) finds some, and describe_tool(name) gives one's declaration.\n";

/// About what a token of a declaration has.
const BYTES_PER_TOKEN: usize = 4;

const MAX_ATTEMPTS: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
    use expect_test::{Expect, expect};

    use super::count;
    use crate::{render, render_within, tests::parse};

    fn tool(server: Option<&str>, name: &str, properties: &str) -> ToolDefinition {
        let schema = format!(r#"{{"properties": {{{properties}}}, "required": ["id"]}}"#);
        ToolDefinition {
            name: name.to_owned(),
            tool_name: ToolName { namespace: server.map(str::to_owned), name: name.to_owned() },
            description: format!("What {name} does, told at some length, as authors of tools do."),
            kind: ToolKind::Function,
            input_schema: Json::parse(schema).ok(),
            output_schema: None,
        }
    }

    fn some_tools() -> Vec<ToolDefinition> {
        let id = r#""id": {"type": "string", "description": "Which one"}"#;
        let filter = r#""filter": {"properties": {"label": {"type": "string"}, "state": {"enum": ["open", "closed"]}}}"#;
        let mut tools: Vec<ToolDefinition> = ["alpha", "beta", "gamma"]
            .map(|name| tool(Some("git"), name, &format!("{id}, {filter}")))
            .into();
        tools.push(tool(Some("db"), "query", id));
        tools.push(tool(None, "read_file", id));
        tools
    }

    #[test]
    fn less_room_means_less_is_said() {
        let tools = some_tools();
        assert_eq!(render_within(&tools, 100_000), render(&tools));
        let check = |max_tokens: usize, expected: Expect| {
            let text = render_within(&tools, max_tokens);
            parse(&text);
            assert!(count(&text) <= max_tokens);
            expected.assert_eq(&text);
        };
        check(
            300,
            expect![[r#"
                type AlphaInput = {
                  /** Which one */
                  id: string;
                  filter?: {
                    label?: string;
                    state?: "open" | "closed";
                  };
                };

                declare const tools: {
                  /** What read_file does, told at some length, as authors of tools do. */
                  read_file(args: {
                    /** Which one */
                    id: string;
                  }): Promise<unknown>;

                  git: {
                    /** What alpha does, told at some length, as authors of tools do. */
                    alpha(args: AlphaInput): Promise<unknown>;

                    /** What beta does, told at some length, as authors of tools do. */
                    beta(args: AlphaInput): Promise<unknown>;

                    /** What gamma does, told at some length, as authors of tools do. */
                    gamma(args: AlphaInput): Promise<unknown>;
                  };

                  db: {
                    /** What query does, told at some length, as authors of tools do. */
                    query(args: {
                      /** Which one */
                      id: string;
                    }): Promise<unknown>;
                  };
                };
            "#]],
        );
        check(
            180,
            expect![[r#"
                type AlphaInput = { id: string; filter?: { label?: string; state?: "open" | "closed" } };

                declare const tools: {
                  /** What read_file does, told at some length, as authors of tools do. */
                  read_file(args: {
                    /** Which one */
                    id: string;
                  }): Promise<unknown>;
                  git: {
                    alpha(args: AlphaInput): Promise<unknown>;
                    beta(args: AlphaInput): Promise<unknown>;
                    gamma(args: AlphaInput): Promise<unknown>;
                  };
                  db: {
                    query(args: { id: string }): Promise<unknown>;
                  };
                };
                // Not all tools are declared here in full. In a cell, ALL_TOOLS lists them, search_tools(query) finds some, and describe_tool(name) gives one's declaration.
            "#]],
        );
        check(
            110,
            expect![[r#"
                declare const tools: {
                  read_file(args: { id: string }): Promise<unknown>;
                  git: {
                    // more: alpha, beta, gamma
                  };
                  db: {
                    query(args: { id: string }): Promise<unknown>;
                  };
                };
                // Not all tools are declared here in full. In a cell, ALL_TOOLS lists them, search_tools(query) finds some, and describe_tool(name) gives one's declaration.
            "#]],
        );
        check(
            75,
            expect![[r#"
                declare const tools: {
                  // more: read_file
                  git: {
                    // 3 tools
                  };
                  db: {
                    // 1 tool
                  };
                };
                // Not all tools are declared here in full. In a cell, ALL_TOOLS lists them, search_tools(query) finds some, and describe_tool(name) gives one's declaration.
            "#]],
        );
        check(
            40,
            expect![[r#"
            // Not all tools are declared here in full. In a cell, ALL_TOOLS lists them, search_tools(query) finds some, and describe_tool(name) gives one's declaration.
        "#]],
        );
        check(5, expect![[r#""#]]);
        check(0, expect![[r#""#]]);
    }

    #[test]
    fn any_number_of_tokens_is_kept_to() {
        let tools = some_tools();
        let mut longest = 0;
        for max_tokens in (0..500).step_by(7) {
            let text = render_within(&tools, max_tokens);
            let tokens = count(&text);
            assert!(tokens <= max_tokens, "{tokens} of {max_tokens}");
            assert_eq!(text, render_within(&tools, max_tokens));
            longest = longest.max(tokens);
        }
        assert_eq!(longest, count(&render(&tools)));
    }

    #[test]
    fn servers_have_the_same_room() {
        // One with many large tools, two with few small ones.
        let id = r#""id": {"type": "string"}"#;
        let large =
            (0..40).map(|n| format!(r#"{id}, "{n}": {{"const": "{}"}}"#, "word ".repeat(20)));
        let mut tools: Vec<ToolDefinition> = large
            .enumerate()
            .map(|(n, properties)| tool(Some("large"), &format!("large_{n}"), &properties))
            .collect();
        for server in ["small", "other"] {
            tools.extend((0..5).map(|n| tool(Some(server), &format!("{server}_{n}"), id)));
        }
        let text = render_within(&tools, 1_200);
        for server in ["small", "other"] {
            assert_eq!(text.matches(&format!("    {server}_")).count(), 5, "{text}");
        }
        assert!(text.contains("    large_0(") && text.contains("// more: large_"), "{text}");
    }

    #[test]
    fn thousands_of_tools_fit() {
        let id = r##""id": {"type": "string", "description": "Which one, of those that there are"}, "limit": {"type": "integer", "maximum": 100}"##;
        let tools: Vec<ToolDefinition> = (0..2_000)
            .map(|n| tool(Some(&format!("server_{}", n % 20)), &format!("do_thing_{n}"), id))
            .collect();
        for max_tokens in [1_000, 8_000, 50_000] {
            let text = render_within(&tools, max_tokens);
            parse(&text);
            let tokens = count(&text);
            assert!(
                tokens <= max_tokens && tokens * 10 >= max_tokens * 8,
                "{tokens} of {max_tokens}"
            );
        }
    }
}
