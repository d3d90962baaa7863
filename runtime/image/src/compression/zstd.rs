//! A zstd stream as RFC 8878 defines it: any number of frames, with skippable frames in between.
//!
//! ruzstd decodes one frame; layers made for lazy pulling (zstd:chunked) have several and end in skippable ones.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window we decode, in bytes: what `zstd --long` makes, and the most that zstd itself decodes unasked.
/// A frame's header may ask for gigabytes; that memory would be PID 1's.
const MAX_WINDOW_BYTES: u64 = 128 << 20;

/// Decodes all frames of a stream. Reads nothing past the stream's end.
pub struct Decoder<R> {
    reader: R,
    frame: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Decoder<R> {
    /// A decoder at the start of `reader`.
    pub fn new(reader: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MAX_WINDOW_BYTES);
        Self { reader, frame, is_in_frame: false }
    }

    /// Reads the next frame's header, passing over skippable frames. False at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.reader) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_in_frame && self.frame.can_collect() > 0 {
                return self.frame.read(buffer);
            }
            if self.is_in_frame && !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.reader, one).map_err(invalid)?;
                continue;
            }
            self.is_in_frame = self.next_frame()?;
            if !self.is_in_frame {
                return Ok(0);
            }
        }
    }
}

fn invalid(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    #[test]
    fn frames_follow_each_other_and_skippable_ones_are_passed_over() {
        let mut bytes = compress_to_vec(&b"one "[..], CompressionLevel::Fastest);
        bytes.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        bytes.extend(compress_to_vec(&vec![b'x'; 300_000][..], CompressionLevel::Fastest));
        bytes.extend([0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
        let mut text = String::new();
        Decoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 300_004);
        assert!(text.starts_with("one x"));
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        let bytes = compress_to_vec(&vec![b'x'; 300_000][..], CompressionLevel::Fastest);
        let cut = bytes.get(..bytes.len() - 5).unwrap();
        assert!(Decoder::new(cut).read_to_end(&mut Vec::new()).is_err());
        let skippable_cut_short = [0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1];
        assert!(Decoder::new(&skippable_cut_short[..]).read_to_end(&mut Vec::new()).is_err());
    }
}
