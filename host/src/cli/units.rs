//! Durations and sizes as people write them.

use std::time::Duration;

/// `500ms`, `30s`, `2m`, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; write it like 500ms, 30s or 2m"))?,
    };
    if duration.is_zero() {
        return Err(String::from("must be longer than nothing"));
    }
    Ok(duration)
}

/// `256MiB`, `1G`, or a number of bytes.
pub(super) fn heap_bytes(text: &str) -> Result<usize, String> {
    let bytes = usize::try_from(bytes(text)?).map_err(|error| error.to_string())?;
    if !(MIN_HEAP_BYTES..=MAX_HEAP_BYTES).contains(&bytes) {
        return Err(String::from("must be from 8MiB to 64GiB"));
    }
    Ok(bytes)
}

/// `64MiB`, `1G`, or a number of bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize =
        text.parse().map_err(|error| format!("{error}; write it like 256MiB or 1GB"))?;
    Ok(size.as_u64())
}

/// Less than this and V8's own objects are most of it.
const MIN_HEAP_BYTES: usize = 8 << 20;
const MAX_HEAP_BYTES: usize = 64 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_people_write_them() {
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(heap_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(heap_bytes("16777216"), Ok(16 << 20));
        for bad in ["", "-1", "0", "NaN", "inf", "1e400", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "-1", "1k", "1EiB", "much"] {
            assert!(heap_bytes(bad).is_err(), "{bad:?}");
        }
    }
}
