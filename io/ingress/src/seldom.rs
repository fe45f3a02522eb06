//! A future that is polled only when it was woken itself, not whenever something else in its task was: what a connection
//! waits for beside its requests (shutdown, a look at the clock) costs its requests nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A future on the heap, and whether it was woken.
pub(crate) struct Seldom<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Seldom<F> {
    pub(crate) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future: Box::pin(future), waker: bell.clone().into(), bell }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // In this order: who rings after the swap finds the task registered.
        this.bell.task.register(cx.waker());
        if !this.bell.rung.load(Ordering::Relaxed) || !this.bell.rung.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        this.future.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Polled once at first, and then once for each time it was woken itself.
    #[tokio::test]
    async fn only_its_own_wakers_count() {
        let polls = Cell::new(0);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut seldom = Seldom::new(std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            receiver.poll_recv(cx)
        }));
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut seldom).is_pending());
        }
        assert_eq!(polls.get(), 1);
        sender.send(7).unwrap();
        assert_eq!(futures_util::poll!(&mut seldom), Poll::Ready(Some(7)));
        assert_eq!(polls.get(), 2);
    }

    #[tokio::test]
    async fn its_task_is_woken() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(Seldom::new(receiver));
        tokio::task::yield_now().await;
        sender.send(1).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(1));
    }
}
