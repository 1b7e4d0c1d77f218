//! What a process under test has said and suffered: warnings and panics.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

static PANICS: AtomicUsize = AtomicUsize::new(0);
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Begins to collect the warnings and count the panics of this process, once.
pub fn watch() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(LevelFilter::WARN)
            .with_writer(Collector)
            .init();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A test that fails is no panic of the code under test.
            let in_test = panic
                .location()
                .is_some_and(|place| place.file().contains("testkit"));
            if !in_test {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            usual(panic);
        }));
    });
}

/// Panics so far, those of tests not counted.
pub fn panics() -> usize {
    PANICS.load(Ordering::Relaxed)
}

/// The warnings so far that contain `text`.
pub fn warnings(text: &str) -> Vec<String> {
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let matching = warnings.iter().filter(|warning| warning.contains(text));
    matching.cloned().collect()
}

struct Collector;

impl io::Write for Collector {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let event_text = String::from_utf8_lossy(event).into_owned();
        let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(event_text);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Collector {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
