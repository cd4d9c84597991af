//! A bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::out::is_watched;

/// How far a command is, on standard error.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar of `total` steps; without a total it turns and counts.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let target =
            if is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = if total.is_some() {
            "{bar:30} {pos}/{len} {wide_msg} {eta}"
        } else {
            "{spinner} {pos} {wide_msg}"
        };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(template).expect("a test draws both templates"));
        Self(bar)
    }
    /// What is being done.
    pub(crate) fn say(&self, message: String) {
        self.0.set_message(message);
    }
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }
    /// Takes the bar away while something is written.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_can_be_read() {
        Progress::new(Some(3)).set(1);
        Progress::new(None).say("17 frames".to_owned());
    }
}
