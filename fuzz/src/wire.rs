use std::fmt::Debug;

use codemode_host_protocol::{
    ClientToHost, Envelope, FrameDecoder, HEADER_LEN, HostToClient, encode_frame,
};

/// A stream has the same frames, and the same end, however it is cut. The first byte says how.
pub fn codec(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = frames([stream]);
    let pieces = frames(stream.chunks(usize::from(cut) + 1));
    assert_eq!(whole, pieces);
    assert_eq!(whole, frames(stream.chunks(1)));
}

/// A message is refused with a reason, or is what its own frame says.
pub fn envelopes(data: &[u8]) {
    settles::<ClientToHost>(data);
    settles::<HostToClient>(data);
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, String) {
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
