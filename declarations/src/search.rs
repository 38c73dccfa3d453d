//! Tools by what somebody looks for.

use std::collections::{BTreeMap, HashMap, HashSet};

use codemode_host_protocol::{ToolDefinition, identifier};

use crate::tree::Tree;

/// Tools, ready to be searched.
///
/// Ranks by BM25 over the words of a tool's name, its namespace, its description and the names of its arguments. A word is found
/// by its beginning too, and one that nobody uses by those that are spelt alike.
#[derive(Debug)]
pub struct ToolIndex {
    /// From words to where they occur: which tool, and how much of it they make up.
    words: BTreeMap<String, Vec<(usize, f64)>>,
    /// How long each tool is, as a part of the mean.
    lengths: Vec<f64>,
    /// From whole names to tools.
    names: HashMap<String, usize>,
}

impl ToolIndex {
    /// Reads `definitions`. Of long texts only the beginning counts.
    pub fn new(definitions: &[ToolDefinition]) -> ToolIndex {
        let mut words: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        let mut lengths = Vec::with_capacity(definitions.len());
        let mut names = HashMap::new();
        for (place, definition) in definitions.iter().enumerate() {
            // In one order, so that sums come out the same.
            let mut weights: BTreeMap<String, f64> = BTreeMap::new();
            let mut add = |text: &str, weight: f64| {
                for word in words_of(text) {
                    *weights.entry(word).or_default() += weight;
                }
            };
            let ToolDefinition { name, tool_name, description, input_schema, .. } = definition;
            add(&tool_name.name, NAME);
            match &tool_name.namespace {
                Some(namespace) => add(namespace, NAMESPACE),
                None if *name != tool_name.name => add(name, NAMESPACE),
                None => {}
            }
            add(beginning(description, MAX_TEXT_BYTES), TEXT);
            if let Some(schema) = input_schema.as_ref().and_then(Tree::read) {
                for argument in arguments(&schema) {
                    add(beginning(argument, MAX_ARGUMENT_BYTES), ARGUMENT);
                }
            }
            lengths.push(weights.values().sum());
            for (word, weight) in weights {
                words.entry(word).or_default().push((place, weight));
            }
            names.insert(identifier(name).to_lowercase(), place);
            names.entry(tool_name.to_string().to_lowercase()).or_insert(place);
            names.entry(tool_name.name.to_lowercase()).or_insert(place);
        }
        let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        lengths.iter_mut().for_each(|length| *length /= mean.max(1.0));
        ToolIndex { words, lengths, names }
    }

    /// The places in the definitions of the tools that fit `query`, best first, `limit` at most. Of two that fit alike the
    /// first comes first.
    pub fn search(&self, query: &str, limit: usize) -> Vec<usize> {
        let query = beginning(query, MAX_QUERY_BYTES);
        let mut seen = HashSet::new();
        let words = words_of(query).filter(|word| seen.insert(word.clone()));
        let words: Vec<String> = words.take(MAX_QUERY_WORDS).collect();
        // By tool: what all words are worth, and how many of them are there.
        let mut scores: HashMap<usize, (f64, usize)> = HashMap::new();
        let mut guesses = MAX_GUESSES;
        for word in &words {
            let mut found = self.find(word);
            if found.is_empty() && guesses > 0 {
                guesses -= 1;
                found = self.guess(word);
            }
            for (place, score) in found {
                let (sum, count) = scores.entry(place).or_default();
                *sum += score;
                *count += 1;
            }
        }
        let share = |count: usize| count as f64 / words.len().max(1) as f64;
        let mut ranked: Vec<(usize, f64)> =
            scores.into_iter().map(|(place, (sum, count))| (place, sum * share(count))).collect();
        let whole = query.trim().to_lowercase();
        if let Some(place) = self.names.get(whole.strip_prefix("tools.").unwrap_or(&whole)) {
            ranked.retain(|(other, _)| other != place);
            ranked.push((*place, f64::INFINITY));
        }
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.into_iter().take(limit).map(|(place, _)| place).collect()
    }

    /// What each tool is worth for a word: for the word itself, or at less for words that begin with it.
    fn find(&self, word: &str) -> HashMap<usize, f64> {
        let mut found: HashMap<usize, f64> = HashMap::new();
        let long_enough = word.chars().count() >= MIN_BEGINNING_CHARS;
        let range = self.words.range(word.to_owned()..);
        let words = range
            .take_while(|(other, _)| *other == word || (long_enough && other.starts_with(word)));
        for (other, uses) in words.take(MAX_ENDINGS) {
            self.count(uses, if other == word { 1.0 } else { BEGINNING }, &mut found);
        }
        found
    }

    /// The same for words that are spelt alike.
    fn guess(&self, word: &str) -> HashMap<usize, f64> {
        let mut found = HashMap::new();
        for (other, uses) in &self.words {
            let likeness = strsim::jaro_winkler(word, other);
            if likeness >= LIKE {
                self.count(uses, likeness * BEGINNING, &mut found);
            }
        }
        found
    }

    fn count(&self, uses: &[(usize, f64)], worth: f64, found: &mut HashMap<usize, f64>) {
        let all = self.lengths.len() as f64;
        let rarity = (1.0 + (all - uses.len() as f64 + 0.5) / (uses.len() as f64 + 0.5)).ln();
        for (place, weight) in uses {
            let length = 1.0 - LENGTH + LENGTH * self.lengths[*place];
            let score =
                worth * rarity * weight * (SATURATION + 1.0) / (weight + SATURATION * length);
            // A word counts as the best of those that it stands for.
            let best = found.entry(*place).or_default();
            *best = best.max(score);
        }
    }
}

/// The names of a tool's arguments, and of their parts.
fn arguments(schema: &Tree) -> Vec<&str> {
    let mut names = Vec::new();
    let mut left = vec![schema];
    while let Some(Tree::Object(schema)) = left.pop() {
        let properties = schema.get("properties").and_then(Tree::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if names.len() == MAX_ARGUMENTS {
                return names;
            }
            names.push(name.as_str());
            left.push(property);
        }
        left.extend(schema.get("items"));
    }
    names
}

/// Words in lower case, without their plural: `readFiles`, `read_file` and `Read files` have the same.
fn words_of(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let mut next = chars.clone();
        // The plural of an acronym belongs to it: `URLs`.
        let next_is_lower = next.next().is_some_and(|one| {
            one.is_lowercase() && (one != 's' || next.next().is_some_and(char::is_lowercase))
        });
        let begins = !c.is_alphanumeric()
            || is_word_alone(c)
            || is_word_alone(before)
            || (c.is_uppercase()
                && (before.is_lowercase() || (before.is_uppercase() && next_is_lower)))
            || (c.is_ascii_digit() != before.is_ascii_digit() && before.is_ascii_alphanumeric());
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.push(word);
    let words = words.into_iter().filter(|word| !word.is_empty() && word.len() <= MAX_WORD_BYTES);
    words.map(without_plural).filter(|word| !COMMON.contains(&word.as_str()))
}

/// Scripts that put no spaces between words.
fn is_word_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2fa1f}')
}

fn without_plural(mut word: String) -> String {
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 4
        && ["sses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end))
    {
        word.truncate(word.len() - 2);
    } else if word.len() > 3
        && word.ends_with('s')
        && !["ss", "us", "is"].iter().any(|end| word.ends_with(end))
    {
        word.pop();
    }
    word
}

fn beginning(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// What a word counts in a tool's name, in its namespace, as an argument, in the description.
const NAME: f64 = 4.0;
const NAMESPACE: f64 = 2.0;
const ARGUMENT: f64 = 1.0;
const TEXT: f64 = 1.0;

/// BM25's k1 and b: how soon saying a word again counts no more, and how much the length of a text counts against it.
const SATURATION: f64 = 1.5;
const LENGTH: f64 = 0.5;

/// What a word counts that begins with the one that was asked for.
const BEGINNING: f64 = 0.5;

const MIN_BEGINNING_CHARS: usize = 3;

/// Words with one beginning that are looked at.
const MAX_ENDINGS: usize = 200;

/// Jaro-Winkler likeness of a word that may have been meant: `isue` and `issue` have 0.95.
const LIKE: f64 = 0.9;

/// Words of a query that are looked for among all others.
const MAX_GUESSES: usize = 3;

const MAX_QUERY_WORDS: usize = 24;

const MAX_QUERY_BYTES: usize = 1_000;

const MAX_TEXT_BYTES: usize = 4_000;

const MAX_ARGUMENTS: usize = 100;

const MAX_ARGUMENT_BYTES: usize = 100;

const MAX_WORD_BYTES: usize = 64;

/// Words that say nothing.
const COMMON: [&str; 20] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "of", "on",
    "or", "that", "the", "to", "with",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::{Json, ToolKind, ToolName};

    use super::*;

    fn tool(server: &str, name: &str, description: &str, arguments: &str) -> ToolDefinition {
        let properties: Vec<String> =
            arguments.split_whitespace().map(|name| format!("{name:?}: {{}}")).collect();
        let schema = format!(r#"{{"properties": {{{}}}}}"#, properties.join(","));
        ToolDefinition {
            name: format!("mcp__{server}__{name}"),
            tool_name: ToolName { namespace: Some(server.to_owned()), name: name.to_owned() },
            description: description.to_owned(),
            kind: ToolKind::Function,
            input_schema: Json::parse(schema).ok(),
            output_schema: None,
        }
    }

    fn tools() -> Vec<ToolDefinition> {
        vec![
            tool(
                "github",
                "create_issue",
                "Open a new issue in a repository",
                "owner repo title body labels",
            ),
            tool(
                "github",
                "list_issues",
                "List the issues of a repository, newest first",
                "owner repo state",
            ),
            tool("github", "search_code", "Find code in all repositories", "query language"),
            tool("github", "mergePullRequest", "Merge a pull request", "owner repo pull_number"),
            tool(
                "files",
                "read_file",
                "Reads a file. Issues an error where there is none.",
                "path encoding",
            ),
            tool("files", "write_file", "Writes a file", "path content"),
            tool("db", "query", "Run SQL; for repository data, issue a SELECT", "sql"),
            tool("wetter", "vorhersage", "Sagt das Wetter für Städte voraus", "stadt"),
            tool("jp", "kensaku", "ファイルを検索する", "q"),
        ]
    }

    #[test]
    fn what_fits_best_comes_first() {
        let tools = tools();
        let index = ToolIndex::new(&tools);
        for (query, expected) in [
            ("create issue", "create_issue list_issues query read_file"),
            ("issues", "list_issues create_issue query read_file"),
            ("Create an ISSUE with labels", "create_issue list_issues query read_file"),
            ("read files", "read_file write_file"),
            ("readFile", "read_file write_file"),
            ("pull request merge", "mergePullRequest"),
            ("mergepullrequest", "mergePullRequest"),
            ("sql", "query"),
            ("encod", "read_file"),
            // The server's, all of them.
            ("github", "search_code list_issues create_issue mergePullRequest"),
            (
                "github.create_issue",
                "create_issue list_issues search_code mergePullRequest query read_file",
            ),
            ("tools.db.query", "query search_code"),
            ("mcp__files__write_file", "write_file read_file"),
            // Misspelt.
            ("isue", "list_issues create_issue query read_file"),
            ("repositry", "query search_code list_issues create_issue"),
            ("städte", "vorhersage"),
            ("検索", "kensaku"),
            ("the of a", ""),
            ("", ""),
            ("zebra", ""),
            ("\u{0}\u{202e}", ""),
        ] {
            let found: Vec<&str> = index
                .search(query, 10)
                .into_iter()
                .map(|place| tools[place].tool_name.name.as_str())
                .collect();
            assert_eq!(found.join(" "), expected, "{query}");
            assert_eq!(index.search(query, 1), index.search(query, 10)[..found.len().min(1)]);
        }
    }

    #[test]
    fn large_and_odd_tools_are_searched_too() {
        let mut tools = tools();
        tools.push(tool("", "", "", ""));
        tools.push(tool("huge", "huge", &"word ".repeat(1_000_000), &"arg ".repeat(10_000)));
        tools.push(tool("long", &"n".repeat(1_000_000), &"x".repeat(1_000_000), ""));
        for n in 0..2_000 {
            tools.push(tool(
                &format!("server{}", n % 10),
                &format!("tool_{n}"),
                "Does something with a repository",
                "id",
            ));
        }
        let index = ToolIndex::new(&tools);
        assert_eq!(index.search("tool 1234", 1).len(), 1);
        assert_eq!(tools[index.search("tool 1234", 1)[0]].tool_name.name, "tool_1234");
        assert_eq!(index.search("repository", 100_000).len(), 2_004);
        assert_eq!(index.search(&"repository issue ".repeat(100_000), 3).len(), 3);
        assert_eq!(ToolIndex::new(&[]).search("a b c", 3), Vec::<usize>::new());
    }

    #[test]
    fn words_are_what_people_type() {
        for (text, expected) in [
            ("readFile", "read file"),
            ("HTTPServer2 get_URLs", "http server 2 get url"),
            ("queries classes boxes status bus this", "query class box status bus this"),
            ("a-b.c/d", "b c d"),
            ("ÜBER größe", "über größe"),
        ] {
            assert_eq!(words_of(text).collect::<Vec<_>>().join(" "), expected, "{text}");
        }
    }
}
