//! The frames in which an engine sends two streams over one: a byte that says
//! which, three of nothing, the length in four, then so many bytes. Pure.

use crate::engine::Chunk;

const HEAD: usize = 8;

/// Takes frames apart that come in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of a head.
    head: Vec<u8>,
    /// Bytes of the frame that are still to come.
    left: usize,
    stderr: bool,
}

impl Frames {
    /// What the next bytes hold; a long frame is not waited for.
    ///
    /// # Errors
    /// That are no frames.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Chunk>, String> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(self.left.min(bytes.len()));
                chunks.push(Chunk { stderr: self.stderr, bytes: now.to_vec() });
                self.left -= now.len();
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = later;
            if let [stream, 0, 0, 0, a, b, c, d] = self.head[..] {
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                // 3 is the engine's own word on what went wrong.
                self.stderr = match stream {
                    0 | 1 => false,
                    2 | 3 => true,
                    other => return Err(format!("a frame of an unknown stream {other}")),
                };
                self.head.clear();
            } else if self.head.len() == HEAD {
                return Err("what came is not in frames".into());
            }
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(stream: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], bytes].concat()
    }

    #[test]
    fn a_frame_in_two_pieces_goes_on_as_it_comes() {
        let mut frames = Frames::default();
        let whole = frame(2, b"abcdef");
        assert_eq!(frames.push(&whole[..10]).unwrap(), [Chunk { stderr: true, bytes: b"ab".to_vec() }]);
        assert_eq!(frames.push(&whole[10..]).unwrap(), [Chunk { stderr: true, bytes: b"cdef".to_vec() }]);
    }

    #[test]
    fn what_is_not_in_frames_is_told_and_not_taken_for_some() {
        assert!(Frames::default().push(b"root@x:/# ls").is_err());
        assert!(Frames::default().push(&frame(7, b"x")).is_err());
        assert_eq!(Frames::default().push(&frame(1, b"")).unwrap(), []);
    }

    proptest! {
        #[test]
        fn both_streams_come_out_whole_however_they_are_cut(
            wrote in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cuts in prop::collection::vec(1usize..30, 1..40),
        ) {
            let sent: Vec<u8> = wrote.iter().flat_map(|(e, bytes)| frame(1 + u8::from(*e), bytes)).collect();
            let (mut frames, mut rest, mut got) = (Frames::default(), &sent[..], [Vec::new(), Vec::new()]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                for chunk in frames.push(now).unwrap() {
                    got[usize::from(chunk.stderr)].extend(chunk.bytes);
                }
                rest = later;
            }
            for stderr in [false, true] {
                let bytes = wrote.iter().filter(|(e, _)| *e == stderr).flat_map(|(_, bytes)| bytes.clone());
                prop_assert_eq!(&got[usize::from(stderr)], &bytes.collect::<Vec<_>>());
            }
        }
    }
}
