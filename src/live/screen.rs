//! The terminal: taken, drawn on, listened to, and given back as it was, whatever happens.

use std::io::{self, BufWriter, IsTerminal as _, Stderr, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};

use super::LiveError;
use super::picture::Colours;

/// Whether the terminal is taken and not given back as yet.
static ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Checks that there is a terminal to draw on.
///
/// # Errors
/// When standard error is none.
pub fn check() -> Result<(), LiveError> {
    if io::stderr().is_terminal() { Ok(()) } else { Err(LiveError::NotATerminal) }
}

pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    colours: Colours,
    /// Whether keys can be read.
    keyboard: bool,
}

/// What a key asks for.
pub(super) enum Key {
    Quit,
    Redraw,
    Other,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        restore_before_a_panic_is_told();
        ENTERED.store(true, Ordering::SeqCst);
        // Without a keyboard (standard input is a pipe, and there is no controlling terminal) one can still look.
        let keyboard = enable_raw_mode().and_then(|()| event::poll(Duration::ZERO)).map_err(without_keys).is_ok();
        let screen = execute!(io::stderr(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stderr()))));
        match screen {
            Ok(terminal) => Ok(Self { terminal, colours: Colours::of_this_terminal(), keyboard }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    pub(super) fn colours(&self) -> Colours {
        self.colours
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(draw)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// The next drawing draws everything again.
    pub(super) fn forget(&mut self) {
        let _ = self.terminal.clear();
    }

    /// The next key, if one comes within `wait`.
    pub(super) fn key(&mut self, wait: Duration) -> Option<Key> {
        if !self.keyboard {
            std::thread::sleep(wait);
            return None;
        }
        match event::poll(wait) {
            Ok(true) => Some(event::read().map_or(Key::Other, |event| meaning(&event))),
            Ok(false) => None,
            Err(error) => {
                without_keys(error);
                self.keyboard = false;
                None
            }
        }
    }
}

/// Keys cannot be read any more: then Ctrl-C shall be a signal again.
fn without_keys(_: io::Error) {
    let _ = disable_raw_mode();
}

fn meaning(event: &Event) -> Key {
    let Event::Key(key) = event else { return Key::Other };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => Key::Other,
        KeyCode::Char('c') if control => Key::Quit,
        KeyCode::Char('l') if control => Key::Redraw,
        KeyCode::Char('q' | 'Q') => Key::Quit,
        _ => Key::Other,
    }
}

/// Whether a view has the terminal: nobody else may write to it, or would wait for one that takes nothing.
#[must_use]
pub fn is_entered() -> bool {
    ENTERED.load(Ordering::SeqCst)
}

/// Gives the terminal back, if it was taken.
pub(super) fn restore() {
    if !is_entered() {
        return;
    }
    // The mode first: it is set even where the terminal takes no more text.
    let _ = disable_raw_mode();
    let mut stderr = io::stderr().lock();
    // Of several who give it back, the first one does.
    if is_entered() {
        let _ = execute!(stderr, EndSynchronizedUpdate, LeaveAlternateScreen, Show);
        let _ = stderr.flush();
        ENTERED.store(false, Ordering::SeqCst);
    }
}

fn restore_before_a_panic_is_told() {
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}
