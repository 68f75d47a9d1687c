//! A sink that keeps all outcomes.

use puvae::pipeline::{FrameTensors, Outcome, Sink, SinkError};

#[derive(Default)]
pub(crate) struct Log(pub(crate) Vec<Outcome>);

impl Sink for Log {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.0.push(outcome.clone());
        Ok(())
    }
}
