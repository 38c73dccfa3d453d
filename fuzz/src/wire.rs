use std::fmt::Debug;

use codemode_host_protocol::{ClientToHost, Envelope, HEADER_LEN, HostToClient, encode_frame};

use crate::frames::frames_of;

/// A stream has the same frames, and the same end, however it is cut. The first byte says how.
pub fn codec(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = frames_of([stream]);
    let pieces = frames_of(stream.chunks(usize::from(cut) + 1));
    assert_eq!(whole, pieces);
    assert_eq!(whole, frames_of(stream.chunks(1)));
}

/// A message is refused with a reason, or is what its own frame says.
pub fn envelopes(data: &[u8]) {
    settles::<ClientToHost>(data);
    settles::<HostToClient>(data);
}

fn settles<E: Envelope + PartialEq + Debug>(bytes: &[u8]) {
    match E::decode(bytes) {
        Ok(message) => {
            let mut frame = Vec::new();
            encode_frame(&message, &mut frame).expect("what was decoded is small enough");
            assert_eq!(E::decode(&frame[HEADER_LEN..]).as_ref(), Ok(&message));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
