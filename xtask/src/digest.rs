//! Whether an archive is what it should be.

use std::{
    fmt::Write,
    fs::File,
    io::{self, Read, copy, sink},
    path::Path,
};

use flate2::{CrcReader, read::MultiGzDecoder};
use sha2::{Digest, Sha256};

/// The SHA-256 sum of a file, in lower-case hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Reads a whole gzip file, which fails where it is cut short or its checksum does not fit.
pub(crate) fn check_gzip(path: &Path) -> io::Result<()> {
    copy(&mut MultiGzDecoder::new(File::open(path)?), &mut sink()).map(drop)
}

/// Whether `plain` is what `gzip` unpacks to, by the length and the CRC in the last eight bytes of the latter.
pub(crate) fn is_unpacked_from(plain: &Path, gzip: &Path) -> io::Result<bool> {
    let packed = std::fs::read(gzip)?;
    let Some((crc, length)) = packed
        .last_chunk::<8>()
        .and_then(|end| Some((end.first_chunk::<4>().copied()?, end.last_chunk::<4>().copied()?)))
    else {
        return Ok(false);
    };
    let file = File::open(plain)?;
    if file.metadata()?.len() & 0xffff_ffff != u64::from(u32::from_le_bytes(length)) {
        return Ok(false);
    }
    let mut reader = CrcReader::new(io::BufReader::with_capacity(BUFFER, file));
    copy(&mut reader, &mut sink())?;
    Ok(reader.crc().sum() == u32::from_le_bytes(crc))
}

const BUFFER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, io::Write as _};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn sums_are_those_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_damaged_archive_is_told_from_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.gz");
        let good = gzip(&(0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let not_gzip = b"<html>not found</html>";
        for (bytes, is_good) in [
            (&good[..], true),
            (&good[..good.len() / 2], false),
            (&good[..good.len() - 1], false),
            (&flipped[..], false),
            (&not_gzip[..], false),
            (&[][..], false),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(check_gzip(&path).is_ok(), is_good, "{} bytes", bytes.len());
        }
    }

    #[test]
    fn an_unpacked_file_is_matched_to_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("lib.a"), folder.path().join("lib.a.gz"));
        fs::write(&packed, gzip(b"the objects")).unwrap();
        for (bytes, expected) in
            [(&b"the objects"[..], true), (b"the obiects", false), (b"the object", false)]
        {
            fs::write(&plain, bytes).unwrap();
            assert_eq!(is_unpacked_from(&plain, &packed).unwrap(), expected);
        }
    }
}
