//! Faults that the synthetic source plays on request: `faults=stall@60+1500ms,unplug@120+500ms,corrupt@200+3`.
//!
//! | fault | what happens at frame AT |
//! |---|---|
//! | `stall@AT+TIME` | no frame comes for TIME; those due meanwhile are lost by the driver |
//! | `block@AT+TIME` | the driver does not return for TIME, not even when it is told to stop; frames are lost as well |
//! | `unplug@AT+TIME` | the device is gone for TIME; then it can be opened again, and goes on with the frame due then |
//! | `lose@AT+N` | N frames are lost by the driver |
//! | `burst@AT+N` | N frames come at once, when the last of them is due |
//! | `duplicate@AT+N` | N frames have the stamp of the frame before |
//! | `backward@AT+TIME` | the frame's stamp lies TIME before that of the frame before |
//! | `resize@AT+N` | N frames are twice as wide and high |
//! | `corrupt@AT+N` | N frames come as JPEG files that were cut off |
//! | `marked@AT+N` | N frames are marked as faulty by the driver |
//! | `slow@AT+NxTIME` | for N frames the purifier takes at least TIME; AT is at least 1 |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(3600);
const MOST_FRAMES: u64 = 100_000_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No frame comes.
    Stall,
    /// The driver does not return.
    Block,
    /// The device is gone.
    Unplug,
    /// The driver loses frames.
    Lose,
    /// Frames come late and all at once.
    Burst,
    /// Stamps stand still.
    Duplicate,
    /// A stamp goes back.
    Backward,
    /// Frames of another size.
    Resize,
    /// Frames that cannot be decoded.
    Corrupt,
    /// Frames that the driver marks as faulty.
    Marked,
    /// A purifier that takes long.
    Slow,
}

impl FaultKind {
    const ALL: [Self; 11] = [
        Self::Stall,
        Self::Block,
        Self::Unplug,
        Self::Lose,
        Self::Burst,
        Self::Duplicate,
        Self::Backward,
        Self::Resize,
        Self::Corrupt,
        Self::Marked,
        Self::Slow,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Block => "block",
            Self::Unplug => "unplug",
            Self::Lose => "lose",
            Self::Burst => "burst",
            Self::Duplicate => "duplicate",
            Self::Backward => "backward",
            Self::Resize => "resize",
            Self::Corrupt => "corrupt",
            Self::Marked => "marked",
            Self::Slow => "slow",
        }
    }

    /// Whether it is given for a number of frames, and whether for a time.
    fn takes(self) -> (bool, bool) {
        match self {
            Self::Stall | Self::Block | Self::Unplug | Self::Backward => (false, true),
            Self::Slow => (true, true),
            _ => (true, false),
        }
    }
}

/// One fault of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The first frame that it concerns, counted from 0.
    pub at: u64,
    /// How many frames; 1 where it is given for a time.
    pub frames: u64,
    /// How long; zero where it is given for a number of frames.
    pub time: Duration,
}

impl Fault {
    /// Whether frame `index` is one of its frames.
    #[must_use]
    pub fn concerns(&self, index: u64) -> bool {
        index.checked_sub(self.at).is_some_and(|past| past < self.frames)
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('@')?;
        let kind = FaultKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let (at, amount) = rest.split_once('+')?;
        let at = at.parse().ok().filter(|&at: &u64| kind != FaultKind::Slow || at > 0)?;
        let (frames, time) = match kind.takes() {
            (true, true) => {
                let (frames, time) = amount.split_once('x')?;
                (count(frames)?, duration(time)?)
            }
            (true, false) => (count(amount)?, Duration::ZERO),
            _ => (1, duration(amount)?),
        };
        Some(Self { kind, at, frames, time })
    }
}

fn count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|count| (1..=MOST_FRAMES).contains(count))
}

/// Whole microseconds.
fn duration(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok()?;
    (time.subsec_nanos() % 1000 == 0 && !time.is_zero() && time <= LONGEST).then_some(time)
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{got}` is no fault, expected KIND@FRAME+TIME with stall, block, unplug or backward, KIND@FRAME+COUNT with lose, burst, duplicate, resize, corrupt or marked, or slow@FRAME+COUNTxTIME; for example stall@60+1500ms or corrupt@200+3"
)]
#[non_exhaustive]
pub struct FaultError {
    /// What was given.
    pub got: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        Self::parse(text).ok_or_else(|| FaultError { got: text.into() })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, at, frames, time } = self;
        write!(f, "{}@{at}+", kind.as_str())?;
        match kind.takes() {
            (true, true) => write!(f, "{frames}x{}", Micros(*time)),
            (true, false) => frames.fmt(f),
            _ => Micros(*time).fmt(f),
        }
    }
}

/// A time as it can be read again.
struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        if us.is_multiple_of(1000) { write!(f, "{}ms", us / 1000) } else { write!(f, "{us}us") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_survives_the_round_trip() {
        for text in [
            "stall@60+1500ms",
            "block@1+3000ms",
            "unplug@120+500ms",
            "lose@7+3",
            "burst@10+5",
            "duplicate@4+1",
            "backward@4+10us",
            "resize@0+9",
            "corrupt@200+3",
            "marked@5+2",
            "slow@1+20x300ms",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        assert_eq!("stall@60+2s".parse::<Fault>().unwrap().to_string(), "stall@60+2000ms");
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_forms_there_are() {
        for text in [
            "",
            "stall",
            "stall@60",
            "stall@60+",
            "stall@60+soon",
            "stall@x+1s",
            "stall@60+3",
            "lose@7+0",
            "lose@7+1s",
            "slow@0+1x1s",
            "rain@1+1",
        ] {
            let refusal = text.parse::<Fault>().unwrap_err().to_string();
            assert!(
                refusal.starts_with(&format!("`{text}` is no fault, expected KIND@FRAME+TIME with stall")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_fault_concerns_its_frames_only() {
        let fault: Fault = "marked@5+2".parse().unwrap();
        let concerned: Vec<u64> = (0..10).filter(|&index| fault.concerns(index)).collect();
        assert_eq!(concerned, [5, 6]);
    }
}
