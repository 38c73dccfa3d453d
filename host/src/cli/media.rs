//! Images and audio of a cell, saved where a person can open them.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Saves what comes in `data:` URLs, in files numbered in the order of the output.
#[derive(Debug)]
pub(super) struct MediaFolder {
    /// Where to; a new folder of the system's temporary ones if the user did not say.
    folder: Option<PathBuf>,
    saved: u32,
}

impl MediaFolder {
    pub(super) fn new(folder: Option<PathBuf>) -> MediaFolder {
        MediaFolder { folder, saved: 0 }
    }

    /// Saves the contents of `url`; `stem` is what the file's name begins with.
    ///
    /// # Errors
    /// When the URL holds no data, or the file cannot be written.
    pub(super) fn save(&mut self, stem: &str, url: &str) -> io::Result<PathBuf> {
        let (mime, data) = decode(url)?;
        let folder = self.folder()?;
        let extension = extension(&mime, &data);
        loop {
            self.saved += 1;
            let path = folder.join(format!("{stem}-{}.{extension}", self.saved));
            match File::create_new(&path) {
                Ok(mut file) => {
                    file.write_all(&data)?;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn folder(&mut self) -> io::Result<PathBuf> {
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder)?;
            return Ok(folder.clone());
        }
        let folder = new_folder(&std::env::temp_dir())?;
        self.folder = Some(folder.clone());
        Ok(folder)
    }
}

/// A new folder for the user's eyes alone.
fn new_folder(parent: &Path) -> io::Result<PathBuf> {
    let process = std::process::id();
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for attempt in 0..u32::MAX {
        let folder = parent.join(format!("codemode-{process}-{attempt}"));
        match builder.create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// MIME type and bytes of a `data:` URL.
fn decode(url: &str) -> io::Result<(String, Vec<u8>)> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("it is no URL"))?;
    if !scheme.eq_ignore_ascii_case("data") {
        return Err(wrong("it is no data: URL"));
    }
    let (head, body) = rest.split_once(',').ok_or_else(|| wrong("its URL has no data"))?;
    let Some(mime) = head.strip_suffix(";base64") else {
        return Ok((head.to_owned(), body.as_bytes().to_vec()));
    };
    let data = BASE64_STANDARD
        .decode(body.trim())
        .map_err(|error| wrong(&format!("its base64 is broken: {error}")))?;
    Ok((mime.to_owned(), data))
}

/// What the contents say they are; where they say nothing, what the URL says.
fn extension(mime: &str, data: &[u8]) -> String {
    if let Some(kind) = infer::get(data) {
        return kind.extension().to_owned();
    }
    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split('/').nth(1).unwrap_or_default();
    let subtype = subtype.split('+').next().unwrap_or_default();
    match subtype {
        "jpeg" => "jpg",
        "mpeg" => "mp3",
        "plain" => "txt",
        "" | "octet-stream" => "bin",
        other if other.chars().all(|c| c.is_ascii_alphanumeric()) => other,
        _ => "bin",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn data_urls_become_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut media = MediaFolder::new(Some(folder.path().join("new")));
        for (url, name, contents) in [
            ("data:image/png;base64,iVBORw0KGgo=", "x-1.png", &b"\x89PNG\r\n\x1a\n"[..]),
            ("DATA:image/svg+xml;charset=utf-8;base64,PHN2Zy8+", "x-2.svg", b"<svg/>"),
            ("data:text/plain,hi", "x-3.txt", b"hi"),
            ("data:,", "x-4.bin", b""),
            ("data:a/../../etc;base64,AA==", "x-5.bin", b"\0"),
        ] {
            let path = media.save("x", url).unwrap();
            assert_eq!(path.file_name().unwrap().to_str().unwrap(), name);
            assert_eq!(std::fs::read(path).unwrap(), contents);
        }
        for bad in ["https://example.com/x.png", "data:image/png", "data:image/png;base64,?", "x"] {
            assert!(media.save("x", bad).is_err(), "{bad}");
        }
    }
}
