//! A bound on waiting that is cheap to begin again: the timer behind it is left as it is, and only when it fires does it
//! turn out whether the bound has moved on meanwhile. So a timer is set once in a bound's length, not once a request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A time until which something is waited for.
pub(crate) struct Patience {
    until: Instant,
    /// Fires at `until` or before.
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    /// Runs out `limit` after `now`.
    pub(crate) fn new(now: Instant, limit: Duration) -> Self {
        let until = now + limit;
        Self { until, timer: Box::pin(sleep_until(until)) }
    }

    /// Runs out `limit` after `now` instead.
    pub(crate) fn restart(&mut self, now: Instant, limit: Duration) {
        self.until = now + limit;
        if self.timer.deadline() > self.until {
            self.timer.as_mut().reset(self.until);
        }
    }

    /// Ready when it has run out.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(50);

    async fn wait(patience: &mut Patience) -> Duration {
        let begun = Instant::now();
        std::future::poll_fn(|cx| patience.poll(cx)).await;
        begun.elapsed()
    }

    /// Restarted later, sooner, and after it ran out.
    #[tokio::test]
    async fn the_last_word_counts() {
        let mut patience = Patience::new(Instant::now(), STEP);
        assert!(futures_util::poll!(std::future::poll_fn(|cx| patience.poll(cx))).is_pending());
        patience.restart(Instant::now(), STEP * 4);
        assert!(wait(&mut patience).await >= STEP * 4);
        patience.restart(Instant::now(), STEP * 1000);
        patience.restart(Instant::now(), STEP * 2);
        let took = wait(&mut patience).await;
        assert!(took >= STEP * 2 && took < STEP * 500, "{took:?}");
        assert!(wait(&mut patience).await < STEP);
    }
}
