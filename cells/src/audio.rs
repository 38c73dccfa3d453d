//! Audio that a cell shows: whether a model can hear it, and what it counts.
//!
//! Which files are looked into, and what is read in them, is what V1 hosts do, to the byte.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use codemode_host_protocol::ContentItem;

mod length;
mod wav;

/// The item, or a text in its place where it is a WAV file shorter than 25 ms: models refuse those, and with them the whole
/// request. Its media type does not matter. Files of other kinds pass, however short.
pub(crate) fn if_long_enough(item: ContentItem) -> ContentItem {
    let ContentItem::InputAudio { audio_url } = &item else { return item };
    // What every encoded RIFF file begins with. Nothing else is decoded.
    let is_short = DataUrl::split(audio_url)
        .filter(|url| url.encoded.starts_with("UklGR"))
        .and_then(|url| url.decode())
        .and_then(|file| wav::is_shorter_than(&file, SHORTEST_MS))
        .unwrap_or(false);
    if is_short { ContentItem::text(OMITTED) } else { item }
}

/// Ten tokens for each second of a file in a format that V1 hosts know, by its media type and by what is in it.
/// `None` where it cannot be told how long it is.
pub(crate) fn tokens(audio_url: &str) -> Option<usize> {
    let url = DataUrl::split(audio_url)?;
    if !MEASURED.iter().any(|media_type| media_type.eq_ignore_ascii_case(url.media_type)) {
        return None;
    }
    let file = url.decode()?;
    // The library takes files of unknown origin, and is said not to panic. A session should not depend on it.
    let nanos = catch_unwind(AssertUnwindSafe(|| length::nanos(file))).ok()??;
    usize::try_from(nanos.div_ceil(NANOS_PER_TOKEN)).ok()
}

/// `data:audio/wav;base64,UklGR…`, in its parts.
struct DataUrl<'a> {
    media_type: &'a str,
    encoded: &'a str,
}

impl<'a> DataUrl<'a> {
    fn split(url: &'a str) -> Option<DataUrl<'a>> {
        let (head, encoded) = url.split_once(',')?;
        let (scheme, head) = head.split_once(':')?;
        let (media_type, parameters) = head.split_once(';')?;
        let is_base64 = parameters.split(';').any(|one| one.eq_ignore_ascii_case("base64"));
        (scheme.eq_ignore_ascii_case("data") && is_base64)
            .then_some(DataUrl { media_type, encoded })
    }

    fn decode(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.encoded).ok()
    }
}

const OMITTED: &str =
    "Audio output omitted because the clip is shorter than 25 ms; use a longer clip.";

const SHORTEST_MS: u64 = 25;

/// A tenth of a second.
const NANOS_PER_TOKEN: u128 = 100_000_000;

/// Media types of files that V1 hosts measure; what such a file really is, they find out by themselves.
const MEASURED: [&str; 11] = [
    "audio/m4a",
    "audio/mp3",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/vnd.wave",
    "audio/wav",
    "audio/wave",
    "audio/webm",
    "audio/x-m4a",
    "audio/x-wav",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_is_left_out() {
        for (samples, omitted) in [(0, true), (199, true), (200, false), (8_000, false)] {
            assert_eq!(is_left_out(&wav(samples)), omitted, "{samples} samples");
        }
        // A sample that is not whole is none.
        let mut half = wav(199);
        half.push(0);
        assert!(is_left_out(&half));
    }

    #[test]
    fn what_cannot_be_measured_stays() {
        let whole = wav(80);
        let changes: [fn(&mut Vec<u8>); 11] = [
            |file| file[3] = b'X',
            |file| file[8] = b'w',
            |file| file[20] = 7,
            |file| file[24..28].fill(0),
            |file| file[32] = 0,
            |file| file[16] = 13,
            |file| file[16..20].fill(0xff),
            |file| file[36] = b'D',
            |file| file.truncate(30),
            |file| drop(file.splice(12..12, *b"LIST\xff\xff\xff\xff")),
            |file| drop(file.splice(12..12, *b"data\0\0\0\0")),
        ];
        for change in changes {
            let mut file = whole.clone();
            change(&mut file);
            assert!(!is_left_out(&file), "{:?}", file.escape_ascii().to_string());
        }
    }

    #[test]
    fn sizes_are_believed_as_far_as_there_are_bytes() {
        let changes: [fn(&mut Vec<u8>); 6] = [
            |file| file[40..44].fill(0xff),
            |file| file.resize(44, 0),
            |file| file[4..8].fill(0xff),
            |file| drop(file.splice(12..12, *b"LIST\x03\0\0\0abc\0")),
            // The last of several heads counts.
            |file| {
                drop(file.splice(12..12, *b"fmt \x0e\0\0\0\x01\0\x01\0\x01\0\0\0\0\0\0\0\x01\0"))
            },
            |file| {
                file[16] = 40;
                file[20..22].copy_from_slice(&EXTENSIBLE);
                file.splice(
                    36..36,
                    *b"\x16\0\x10\0\0\0\0\0\x03\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
                );
            },
        ];
        for change in changes {
            let mut file = wav(80);
            change(&mut file);
            assert!(is_left_out(&file), "{:?}", file.escape_ascii().to_string());
        }
    }

    #[test]
    fn only_urls_in_plain_base64_are_looked_into() {
        let encoded = BASE64.encode(wav(79));
        let bare = encoded.trim_end_matches('=');
        assert_ne!(bare, encoded);
        for (url, omitted) in [
            (format!("data:audio/wav;base64,{encoded}"), true),
            (format!("data:;base64,{encoded}"), true),
            (format!("DATA:image/png;x=1;BASE64;y,{encoded}"), true),
            (format!("data:audio/wav;base64,{bare}"), false),
            (format!("data:audio/wav,{encoded}"), false),
            (format!("data:base64,{encoded}"), false),
            (format!("data:audio/wav; base64,{encoded}"), false),
            (format!("data:audio/wav;base64,{encoded}!"), false),
            (format!("data:audio/wav;base64, {encoded}"), false),
            (format!("data:audio/wav;base64,,{encoded}"), false),
        ] {
            let item = if_long_enough(ContentItem::InputAudio { audio_url: url.clone() });
            assert_eq!(item == ContentItem::text(OMITTED), omitted, "{url}");
        }
        let image = ContentItem::InputImage { image_url: encoded, detail: None };
        assert_eq!(if_long_enough(image.clone()), image);
    }

    #[test]
    fn sound_counts_by_the_second() {
        for (samples, expected) in [(2_000, 3), (8_000, 10), (8_400, 11), (16_000, 20)] {
            let url = url("audio/wav", &wav(samples));
            assert_eq!(tokens(&url), Some(expected), "{samples} samples");
        }
        // The media type decides whether the file is looked into, and no more.
        assert_eq!(tokens(&url("Audio/OGG;codecs=opus", &wav(8_000))), Some(10));
        assert_eq!(tokens(&url("audio/flac", &wav(8_000))), None);
    }

    #[test]
    fn what_lies_or_is_no_audio_has_no_length() {
        let mut lie = wav(8_000);
        lie[40..44].fill(0xff);
        for file in [lie.as_slice(), &wav(8_000)[..40], b"hello", b"RIFF", b""] {
            assert_eq!(tokens(&url("audio/wav", file)), None);
        }
        assert_eq!(tokens("data:,"), None);
    }

    fn is_left_out(file: &[u8]) -> bool {
        let item = ContentItem::InputAudio { audio_url: url("audio/wav", file) };
        if_long_enough(item) == ContentItem::text(OMITTED)
    }

    fn url(media_type: &str, file: &[u8]) -> String {
        format!("data:{media_type};base64,{}", BASE64.encode(file))
    }

    /// One channel of 16 bits, 8,000 times a second.
    fn wav(samples: u32) -> Vec<u8> {
        let bytes = samples * 2;
        let mut file = b"RIFF".to_vec();
        file.extend_from_slice(&(36 + bytes).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend_from_slice(&8_000_u32.to_le_bytes());
        file.extend_from_slice(&16_000_u32.to_le_bytes());
        file.extend_from_slice(b"\x02\0\x10\0data");
        file.extend_from_slice(&bytes.to_le_bytes());
        file.resize(file.len() + bytes as usize, 0);
        file
    }

    const EXTENSIBLE: [u8; 2] = [0xfe, 0xff];
}
