//! How long audio in one of some formats is, by what its file says of itself.

use std::io::Cursor;

use symphonia::core::{
    formats::{FormatOptions, TrackType, probe::Hint},
    io::MediaSourceStream,
    meta::MetadataOptions,
};

/// The length in nanoseconds; `None` where the file is broken, of an unknown format, or doesn't say.
pub(super) fn nanos(file: Vec<u8>) -> Option<u128> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file)), Default::default());
    let reader = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .ok()?;
    let track = reader.default_track(TrackType::Audio)?;
    let media = reader.media_info();
    let length = (track.time_base.zip(track.duration))
        // Matroska has one for all tracks.
        .or(media.time_base.zip(media.duration))
        .and_then(|(base, duration)| base.calc_duration(duration))?;
    u128::try_from(length.as_nanos()).ok()
}
