//! What a stream holds; the fuzz targets ask the same.

use codemode_host_protocol::FrameDecoder;

/// The bodies of the frames in a stream that arrives in these pieces, and how it ends.
pub(crate) fn frames_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, String) {
    let mut decoder = FrameDecoder::new();
    let mut bodies = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next_frame(&mut piece) {
                Ok(Some(body)) => bodies.push(body.to_vec()),
                Ok(None) => break,
                Err(error) => return (bodies, error.to_string()),
            }
        }
    }
    (bodies, format!("{:?}", decoder.finish()))
}
