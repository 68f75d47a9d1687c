//! What each path answers.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::{Facts, text};
use crate::board::Board;
use crate::watchdog::Judgement;

const PLAIN: &str = "text/plain; charset=utf-8";
/// The format's name for whoever reads it.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

const OK: u16 = 200;
const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;
const UNAVAILABLE: u16 = 503;

pub(super) struct Pages {
    pub(super) board: Board,
    pub(super) judgement: Judgement,
    pub(super) facts: Arc<OnceLock<Facts>>,
}

/// An answer.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Cow<'static, str>,
}

impl Page {
    pub(super) const NOT_ALLOWED: Self = Self {
        status: METHOD_NOT_ALLOWED,
        content_type: PLAIN,
        body: Cow::Borrowed("only GET and HEAD are answered here\n"),
    };

    fn plain(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, content_type: PLAIN, body: body.into() }
    }
}

impl Pages {
    pub(super) fn get(&self, path: &str) -> Page {
        match path {
            "/metrics" => Page { status: OK, content_type: EXPOSITION, body: self.metrics().into() },
            "/live" if self.judgement.alive() => Page::plain(OK, "live\n"),
            "/live" => Page::plain(UNAVAILABLE, "not live: the watchdog has not looked for a while\n"),
            "/ready" => match self.judgement.ready() {
                Ok(()) => Page::plain(OK, "ready\n"),
                Err(why) => Page::plain(UNAVAILABLE, format!("not ready: {}\n", one_line(&why.to_string()))),
            },
            "/" => Page::plain(OK, "puvae: /metrics, /live, /ready\n"),
            _ => Page::plain(NOT_FOUND, "nothing here; there are /metrics, /live and /ready\n"),
        }
    }

    fn metrics(&self) -> String {
        text::render(&self.board.read(), self.board.edges(), self.judgement.ready().is_ok(), self.facts.get())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
