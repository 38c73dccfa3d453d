//! `list_directory` and `file_info`: what is there.

use std::io::Read;

use cap_std::fs::{Metadata, MetadataExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::Arguments,
    cancel::Cancel,
    folder::{Folder, WorkspacePath, kind_name},
    read::{Encoding, SNIFFED},
    write::is_temporary,
};

pub(super) const LIST_DESCRIPTION: &str = "Lists what is directly in one folder, hidden and ignored entries \
    too, by name. For a whole tree use glob({ pattern: \"**/*\" }).";

pub(super) const INFO_DESCRIPTION: &str = "Tells what a path is without reading it out: its kind, size, time of \
    change, for text files the number of lines. An error if there is nothing.";

/// What `list_directory` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListDirectory {
    /// The folder, relative to the workspace; "." by default.
    path: Option<String>,
}

impl Arguments for ListDirectory {
    const TOOL: &'static str = "list_directory";
    const EXAMPLE: &'static str = r#"list_directory({ path: "src" })"#;
}

/// What `list_directory` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listing {
    /// What is in the folder, by name.
    entries: Vec<ListedEntry>,
    /// Whether there is more than was listed (10000 entries).
    truncated: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ListedEntry {
    name: String,
    /// Relative to the workspace, for the other tools.
    path: String,
    kind: Kind,
    /// For files: their length.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

impl Kind {
    fn of(file_type: cap_std::fs::FileType) -> Kind {
        match kind_name(file_type) {
            "file" => Kind::File,
            "directory" => Kind::Directory,
            "symlink" => Kind::Symlink,
            _ => Kind::Other,
        }
    }
}

pub(super) fn list_directory(
    folder: &Folder,
    arguments: ListDirectory,
    cancel: &Cancel,
) -> Outcome<Listing> {
    let path = folder.path(arguments.path.as_deref().unwrap_or("."))?;
    let dir = folder.open_dir(&path)?;
    let failed = |error| folder.explain("list", &path, &error);
    let mut found = Vec::new();
    for entry in dir.entries().map_err(failed)? {
        cancel.check()?;
        // An entry may be gone by the time it is looked at.
        let Ok(entry) = entry else { continue };
        let Ok(file_type) = entry.file_type() else { continue };
        let name = entry.file_name();
        if !is_temporary(&name) {
            found.push((name, file_type, entry));
        }
    }
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let truncated = found.len() > MAX_ENTRIES;
    found.truncate(MAX_ENTRIES);
    let mut entries = Vec::with_capacity(found.len());
    for (name, file_type, entry) in found {
        cancel.check()?;
        let name = name.to_string_lossy().into_owned();
        let size_bytes = match file_type.is_file() {
            true => entry.metadata().ok().map(|metadata| metadata.len()),
            false => None,
        };
        entries.push(ListedEntry {
            path: path.join(&name).shown(),
            name,
            kind: Kind::of(file_type),
            size_bytes,
        });
    }
    Ok(Listing { entries, truncated })
}

/// What `file_info` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileInfo {
    /// The file or folder, relative to the workspace.
    path: String,
}

impl Arguments for FileInfo {
    const TOOL: &'static str = "file_info";
    const EXAMPLE: &'static str = r#"file_info({ path: "Cargo.toml" })"#;
}

/// What `file_info` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Info {
    /// Relative to the workspace.
    path: String,
    /// For a symbolic link: what it leads to, or "symlink" if that cannot be reached from here.
    kind: Kind,
    size_bytes: u64,
    /// Time of the last change, such as "2026-01-31T12:00:00.000Z".
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    /// For files: whether they may be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    /// For text files of up to 64 MiB: how many lines they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    /// For files whose kind shows in their first bytes, such as "image/png".
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    /// For symbolic links: what they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

pub(super) fn file_info(folder: &Folder, arguments: FileInfo, cancel: &Cancel) -> Outcome<Info> {
    let path = folder.path(&arguments.path)?;
    let itself = folder.entry("find", &path)?;
    let link_target = match itself.is_symlink() {
        true => folder.read_link(&path).ok().map(|target| target.to_string_lossy().into_owned()),
        false => None,
    };
    let metadata = folder.metadata(&path).unwrap_or(itself);
    let mut info = Info {
        path: path.shown(),
        kind: Kind::of(metadata.file_type()),
        size_bytes: metadata.len(),
        modified: modified(&metadata),
        executable: metadata.is_file().then(|| metadata.mode() & 0o111 != 0),
        lines: None,
        mime_type: None,
        link_target,
    };
    if metadata.is_file() {
        look_inside(folder, &path, &mut info, cancel)?;
    }
    Ok(info)
}

fn look_inside(
    folder: &Folder,
    path: &WorkspacePath,
    info: &mut Info,
    cancel: &Cancel,
) -> Outcome<()> {
    // What may be named may not always be read; the rest is worth having all the same.
    let Ok((mut file, metadata)) = folder.open_file(path) else { return Ok(()) };
    let failed = |error| folder.explain("read", path, &error);
    let mut head = Vec::with_capacity(SNIFFED);
    (&mut file).take(SNIFFED as u64).read_to_end(&mut head).map_err(failed)?;
    info.mime_type = infer::get(&head).map(|kind| kind.mime_type().to_owned());
    if !matches!(Encoding::of(&head), Encoding::Text) || metadata.len() > MAX_COUNTED {
        return Ok(());
    }
    let mut lines = 0;
    let mut last = b'\n';
    let mut rest = std::io::Cursor::new(head).chain(file.take(MAX_COUNTED));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        cancel.check()?;
        let count = rest.read(&mut buffer).map_err(failed)?;
        let Some(end) = buffer[..count].last() else { break };
        last = *end;
        lines += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
    }
    info.lines = Some(lines + u64::from(last != b'\n'));
    Ok(())
}

fn modified(metadata: &Metadata) -> Option<String> {
    let modified = metadata.modified().ok()?.into_std();
    // The formatter knows the years 1970 to 9999, and a file's time can be any.
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    (seconds < YEAR_10000).then(|| humantime::format_rfc3339_millis(modified).to_string())
}

/// Entries that one listing gives.
const MAX_ENTRIES: usize = 10_000;

/// Bytes of a file whose lines are counted.
const MAX_COUNTED: u64 = 64 * 1024 * 1024;

/// Seconds from 1970 to the year 10000.
const YEAR_10000: u64 = 253_402_300_800;
