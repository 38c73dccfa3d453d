//! The least that a host could be: after the hello it answers each frame with the frames of a trivial cell.

use std::io::{self, Read as _, Write as _};

use codemode_host_protocol::FrameDecoder;

use crate::{error::Error, frames};

/// Answers until the input ends.
pub(crate) fn serve() -> Result<(), Error> {
    let mut answer = frames::ready();
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let mut decoder = FrameDecoder::new();
    let mut buffer = vec![0; 64 << 10];
    let mut first = true;
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..read];
        while decoder.next_frame(&mut rest).map_err(|e| Error::new(e.to_string()))?.is_some() {
            output.write_all(&answer)?;
            output.flush()?;
            if first {
                answer = frames::trivial_answers();
                first = false;
            }
        }
    }
}
