//! One task over two real servers, by plain tool calls and by one cell: what reaches the model in each.
//!
//! `docs/comparison.md` shows it; `UPDATE_EXPECT=1` writes its figures.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use super::support::{Raw, texts};
use crate::mcp::support::{npm_server, peers};

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_takes_the_tokens_that_the_documents_say() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let top = orders(&data);
    let plain = plainly(&peers, &data, folder.path(), &top).await;
    let cell = by_cell(&peers, &data, folder.path(), &top).await;
    let measured = [plain, cell];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/comparison.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let table = table(&measured);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&page, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    // Words of descriptions may change without the page being wrong.
    let numbers = |table: &str| -> Vec<f64> {
        let digits = table.replace(',', "");
        let words =
            digits.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
        words.collect()
    };
    let (shown, found) = (numbers(shown), numbers(&table));
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= a.max(*b) / 10.0;
    assert!(
        shown.len() == found.len() && shown.iter().zip(&found).all(near),
        "docs/comparison.md is out of date; run this test with UPDATE_EXPECT=1:\n{table}"
    );
}

/// What reaches the model, or comes from it, one text for each message.
#[derive(Default)]
struct Traffic {
    definitions: Vec<String>,
    calls: Vec<String>,
    results: Vec<String>,
}

impl Traffic {
    async fn define(&mut self, client: &mut Raw) {
        let id = client.ask("tools/list", json!({})).await;
        for tool in client.answer(id).await["result"]["tools"].as_array().unwrap() {
            // What clients pass on.
            let Value::Object(mut tool) = tool.clone() else { panic!("{tool}") };
            tool.retain(|field, _| {
                ["name", "description", "inputSchema"].contains(&field.as_str())
            });
            self.definitions.push(Value::Object(tool).to_string());
        }
    }

    async fn call(&mut self, client: &mut Raw, tool: &str, arguments: Value) -> String {
        self.calls.push(json!({ "name": tool, "arguments": arguments }).to_string());
        let result = texts(&client.call(tool, arguments).await);
        self.results.push(result.clone());
        result
    }

    fn all(&self) -> [(&'static str, &[String]); 3] {
        [
            ("definitions of the tools", &self.definitions),
            ("calls, which the model writes", &self.calls),
            ("results, which the model reads", &self.results),
        ]
    }
}

/// As a careful model does it: no call more than it takes.
async fn plainly(peers: &Path, data: &Path, folder: &Path, top: &[(&str, u64)]) -> Traffic {
    let files = npm_server(peers, "server-filesystem", &[data.to_str().unwrap()]);
    let memory = npm_server(peers, "server-memory", &[]);
    let graph = folder.join("plain.json");
    let mut files = Raw::of(&files.command, &files.args, &[]).await;
    let mut memory = Raw::of(&memory.command, &memory.args, &[("MEMORY_FILE_PATH", &graph)]).await;
    let mut traffic = Traffic::default();
    traffic.define(&mut files).await;
    traffic.define(&mut memory).await;
    let listed = traffic.call(&mut files, "list_directory", json!({ "path": data })).await;
    let paths: Vec<_> =
        listed.lines().map(|line| data.join(line.strip_prefix("[FILE] ").unwrap())).collect();
    assert_eq!(paths.len(), ORDERS);
    traffic.call(&mut files, "read_multiple_files", json!({ "paths": paths })).await;
    // The model has added up 300 figures.
    let entities: Vec<_> = top
        .iter()
        .map(|(name, revenue)| {
            let observation = format!("revenue {revenue}");
            json!({ "name": name, "entityType": "customer", "observations": [observation] })
        })
        .collect();
    traffic.call(&mut memory, "create_entities", json!({ "entities": entities })).await;
    anonymous(traffic, data)
}

async fn by_cell(peers: &Path, data: &Path, folder: &Path, top: &[(&str, u64)]) -> Traffic {
    let files = npm_server(peers, "server-filesystem", &[data.to_str().unwrap()]);
    let memory = npm_server(peers, "server-memory", &[]);
    let graph = folder.join("cell.json");
    let config = json!({ "mcpServers": {
        "files": { "command": files.command, "args": files.args },
        "memory": {
            "command": memory.command, "args": memory.args, "env": { "MEMORY_FILE_PATH": graph }
        },
    }});
    let file = folder.join("servers.json");
    fs::write(&file, config.to_string()).unwrap();
    let mut client = Raw::start(&["--mcp-config", file.to_str().unwrap()]).await;
    let mut traffic = Traffic::default();
    traffic.define(&mut client).await;
    let page = include_str!("../../../../docs/comparison.md");
    let (_, code) = page.split_once("```ts\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let code = code.replace("/data", data.to_str().unwrap());
    let shown = traffic.call(&mut client, "exec", json!({ "code": code })).await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json!(top), "{shown}");
    let kept = fs::read_to_string(graph).unwrap();
    assert!(
        top.iter().all(|(name, total)| kept.contains(name) && kept.contains(&total.to_string()))
    );
    anonymous(traffic, data)
}

/// The same wherever it is measured.
fn anonymous(mut traffic: Traffic, data: &Path) -> Traffic {
    let data = data.to_str().unwrap();
    for texts in [&mut traffic.definitions, &mut traffic.calls, &mut traffic.results] {
        texts.iter_mut().for_each(|text| *text = text.replace(data, "/data"));
    }
    traffic
}

fn table([plain, cell]: &[Traffic; 2]) -> String {
    let count = |texts: &[String]| {
        let bytes: usize = texts.iter().map(String::len).sum();
        let tokens = texts.iter().map(|text| bpe_openai::o200k_base().count(text.as_str()));
        (bytes, tokens.sum::<usize>())
    };
    let mut table = String::from(
        "| | plain calls: bytes | tokens | one cell: bytes | tokens |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    let mut sums = [0; 4];
    let row = |table: &mut String, name: &str, figures: [usize; 4]| {
        let [a, b, c, d] = figures.map(grouped);
        let _ = writeln!(table, "| {name} | {a} | {b} | {c} | {d} |");
    };
    for ((name, plain), (_, cell)) in plain.all().into_iter().zip(cell.all()) {
        let ((a, b), (c, d)) = (count(plain), count(cell));
        let figures = [a, b, c, d];
        (0..4).for_each(|at| sums[at] += figures[at]);
        row(&mut table, name, figures);
    }
    row(&mut table, "all", sums);
    let turns = |traffic: &Traffic| traffic.calls.len() + 1;
    let (plain, cell) = (turns(plain), turns(cell));
    let _ = writeln!(table, "| requests of the model | {plain} | | {cell} | |");
    table
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Forty orders of eight lines each. Returns the three largest customers, without cancelled orders.
fn orders(folder: &Path) -> Vec<(&'static str, u64)> {
    fs::create_dir(folder).unwrap();
    let customers = ["Ada & Co", "Bolt Ltd", "Cedar GmbH", "Dune SA", "Elm Oy", "Fjord AS"];
    let mut revenue = customers.map(|name| (name, 0));
    for order in 0..ORDERS {
        let price = |line: usize| (order * 31 + line * 17) % 90 + 10;
        let quantity = |line: usize| (order * 3 + line * 5) % 9 + 1;
        let cancelled = order % 7 == 6;
        if !cancelled {
            let total: usize = (0..8).map(|line| price(line) * quantity(line)).sum();
            revenue[order * order % 6].1 += total as u64;
        }
        let lines: Vec<_> = (0..8)
            .map(|line| {
                json!({
                    "sku": format!("SKU-{:05}", (order * 7919 + line * 104_729) % 100_000),
                    "quantity": quantity(line),
                    "price": price(line),
                    "warehouse": format!("W{}", (order + line) % 4),
                })
            })
            .collect();
        let order_json = json!({
            "id": 1_000 + order,
            "customer": customers[order * order % 6],
            "status": if cancelled { "cancelled" } else { "shipped" },
            "lines": lines,
        });
        let text = serde_json::to_string_pretty(&order_json).unwrap();
        fs::write(folder.join(format!("order-{order:02}.json")), text).unwrap();
    }
    revenue.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    revenue[..3].to_vec()
}

const ORDERS: usize = 40;

const BEGIN: &str = "<!-- figures: made by a test -->\n";
const END: &str = "<!-- end of figures -->";
