//! The head of a WAV file.

/// Whether the sound lasts less than `ms`; `None` where it is no WAV file of plain samples.
///
/// Sizes are believed as far as there are bytes: a file that was cut is as long as what is left of it.
pub(super) fn is_shorter_than(file: &[u8], ms: u64) -> Option<bool> {
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut rest = &file[12..];
    let mut format = None;
    loop {
        let (id, body) = (rest.get(..4)?, rest.get(8..)?);
        let size = number(rest, 4)? as usize;
        match id {
            b"fmt " => format = Some(Format::parse(body.get(..size)?)?),
            b"data" => {
                let Format { samples_per_second, block_bytes } = format?;
                let samples = (body.len().min(size) / block_bytes) as u64;
                return Some(samples * 1000 < u64::from(samples_per_second) * ms);
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(size.checked_next_multiple_of(2)?..)?;
    }
}

struct Format {
    samples_per_second: u32,
    /// Of one sample of all channels.
    block_bytes: usize,
}

impl Format {
    fn parse(chunk: &[u8]) -> Option<Format> {
        let kind = short(chunk, 0)?;
        let is_plain = match kind {
            INTEGERS | FLOATS => true,
            EXTENSIBLE => {
                matches!(short(chunk, 24)?, INTEGERS | FLOATS)
                    && chunk.get(26..40)? == REST_OF_SUBTYPE
            }
            _ => false,
        };
        let (samples_per_second, block_bytes) = (number(chunk, 4)?, short(chunk, 12)?.into());
        (is_plain && samples_per_second > 0 && block_bytes > 0)
            .then_some(Format { samples_per_second, block_bytes })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

const INTEGERS: u16 = 1;

const FLOATS: u16 = 3;

/// What the samples are is told by a GUID: one of the numbers above, and then always the same.
const EXTENSIBLE: u16 = 0xfffe;

const REST_OF_SUBTYPE: &[u8] = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
