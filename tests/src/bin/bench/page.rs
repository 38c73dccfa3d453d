//! `docs/performance.md`, and `performance.json` beside it: each part of a run replaces its own section, and no other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::Error;

pub(crate) struct Page {
    docs: PathBuf,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    /// Hosts against each other.
    Table,
    Peers,
    Growth,
    Counts,
}

impl Page {
    /// That of this checkout.
    pub(crate) fn ours() -> Page {
        Page { docs: Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.docs.join("performance.md")
    }

    /// A file beside the page.
    pub(crate) fn put_file(&self, name: &str, text: &str) -> Result<(), Error> {
        write(&self.docs.join(name), text)
    }

    /// Puts `text` between the section's markers, and `figures` beside the page.
    pub(crate) fn put(&self, section: Section, text: &str, figures: Value) -> Result<(), Error> {
        let path = self.path();
        let page = between_markers(&read(&path)?, section.name(), text).ok_or_else(|| {
            let (begin, end) = markers(section.name());
            Error::new(format!("{}: there is no {begin} before an {end}", path.display()))
        })?;
        write(&path, &page)?;
        let mut all = self.all_figures()?;
        all.insert(section.name().to_owned(), figures);
        write(&self.figures_path(), &format!("{:#}\n", Value::from(all)))
    }

    /// What was put beside the page last; null if nothing was.
    pub(crate) fn figures(&self, section: Section) -> Result<Value, Error> {
        Ok(self.all_figures()?.remove(section.name()).unwrap_or_default())
    }

    fn all_figures(&self) -> Result<Map<String, Value>, Error> {
        let path = self.figures_path();
        serde_json::from_str(&read(&path)?)
            .map_err(|e| Error::new(format!("{}: {e}", path.display())))
    }

    fn figures_path(&self) -> PathBuf {
        self.docs.join("performance.json")
    }
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Section::Table => "bench",
            Section::Peers => "peers",
            Section::Growth => "growth",
            Section::Counts => "counts",
        }
    }
}

fn between_markers(page: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = markers(section);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}{end}{after}"))
}

fn markers(section: &str) -> (String, String) {
    (format!("<!-- {section}:begin -->"), format!("<!-- {section}:end -->"))
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_last_one_and_no_other() {
        let page =
            "# Page\n<!-- a:begin -->\nold\n<!-- a:end -->\n<!-- b:begin --><!-- b:end -->\nmore\n";
        let first = between_markers(page, "a", "new\n").unwrap_or_default();
        assert_eq!(
            between_markers(&first, "b", "other\n").as_deref(),
            Some(
                "# Page\n<!-- a:begin -->\nnew\n<!-- a:end -->\n<!-- b:begin -->\nother\n<!-- b:end -->\nmore\n"
            )
        );
        assert_eq!(between_markers(page, "c", "new"), None);
    }
}
