//! What every source must keep to, whatever it gives frames of.

use std::time::Instant;

use puvae::clock::StopFlag;
use puvae::frame::{Capture, FrameId};
use puvae::source::{Next, Source};

/// Plays one opening of a source: frames are whole, numbered from 0 with each gap explained, none is stamped before the
/// one before it or in the future, and the end stays the end. Whether it came to its end; if not, it failed.
pub(crate) fn conforms(source: &mut dyn Source, now: impl Fn() -> Instant) -> bool {
    let (stop, mut frames, mut newest) = (StopFlag::new(), 0, None);
    loop {
        let Capture { id, lost, at, .. } = match source.next(&stop) {
            Ok(Next::Frame(frame)) => {
                assert_eq!(frame.pixels.len(), frame.width * frame.height * frame.format.channels());
                assert!(frame.capture.at <= frame.dequeued_at && frame.dequeued_at <= now());
                frame.capture
            }
            Ok(Next::Broken(frame)) => frame.capture,
            Ok(Next::Nothing) => continue,
            Ok(Next::Lost(count)) => {
                frames += count;
                continue;
            }
            Ok(Next::End) => {
                assert!(matches!(source.next(&stop), Ok(Next::End)), "the end stays the end");
                return true;
            }
            Err(_) => return false,
        };
        assert_eq!(id, FrameId(frames + lost), "each gap is explained");
        assert!(newest.is_none_or(|newest| at >= newest) && at <= now(), "time never goes back");
        (frames, newest) = (id.0 + 1, Some(at));
    }
}
