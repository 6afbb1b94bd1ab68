//! Requests whose bodies have not come whole. Each holds its head in memory, and an HTTP/2 peer may have
//! many at a time, so there are bounds for all connections together: on those that there are, beyond
//! which one more is refused; and on those that are waited for, where for one more the one that has waited
//! longest is waited for no longer. Most bodies come with their head, and nobody waits for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::limits::Limits;

/// All such requests of one server. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Parked(Arc<Requests>);

#[derive(Debug)]
struct Requests {
    most_unread: usize,
    most_awaited: usize,
    unread: AtomicUsize,
    line: Mutex<Line>,
}

/// A request whose body has not come whole, as long as that is so.
#[derive(Debug)]
pub(super) struct Unread(Parked);

/// Those that wait, by the order in which they came.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notice>>,
}

/// How one that waits hears that it has waited long enough.
#[derive(Debug, Default)]
struct Notice {
    is_given: AtomicBool,
    waker: AtomicWaker,
}

/// A place in the line; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    notice: Arc<Notice>,
    parked: Parked,
}

impl Parked {
    /// Room for as many as the limits say.
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Requests {
            most_unread: limits.unread_bodies,
            most_awaited: limits.awaited_bodies,
            unread: AtomicUsize::default(),
            line: Mutex::default(),
        }))
    }

    /// Lets in a request whose body is to be read, if there is room.
    pub(super) fn admit(&self) -> Option<Unread> {
        let before = self.0.unread.fetch_add(1, Ordering::AcqRel);
        let admitted = Unread(self.clone());
        (before < self.0.most_unread).then_some(admitted)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unread {
    /// A place at the end of the line of those that are waited for. If it is full, the first in it has
    /// to go.
    pub(super) fn enter(&self) -> Place {
        let notice = Arc::new(Notice::default());
        let mut line = self.0.line();
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, Arc::clone(&notice));
        let first = if line.waiting.len() > self.0.0.most_awaited {
            line.waiting.pop_first()
        } else {
            None
        };
        drop(line);
        if let Some((_, first)) = first {
            first.is_given.store(true, Ordering::Release);
            first.waker.wake();
        }
        Place {
            number,
            notice,
            parked: self.0.clone(),
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.0.unread.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Place {
    /// Ready when others need the place.
    pub(super) fn poll_needed(&self, context: &Context<'_>) -> Poll<()> {
        self.notice.waker.register(context.waker());
        if self.notice.is_given.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.parked.line().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;

    use super::*;

    fn parked(most_unread: usize, most_awaited: usize) -> Parked {
        Parked::new(&Limits {
            unread_bodies: most_unread,
            awaited_bodies: most_awaited,
            ..Limits::default()
        })
    }

    /// As many as are asked for, none of whose bodies has come whole.
    fn unread<const N: usize>(parked: &Parked) -> [Unread; N] {
        std::array::from_fn(|_| parked.admit().unwrap())
    }

    #[test]
    fn one_too_many_is_not_let_in_until_another_is_gone() {
        let parked = parked(2, 2);
        let [first, _second] = unread(&parked);
        for _ in 0..3 {
            assert!(parked.admit().is_none());
        }
        drop(first);
        let _third = parked.admit().unwrap();
        assert!(parked.admit().is_none());
    }

    fn has_to_go(place: &Place) -> bool {
        let needed = poll_fn(|context| place.poll_needed(context));
        needed.now_or_never().is_some()
    }

    #[test]
    fn for_one_too_many_the_first_has_to_go() {
        let own: [Unread; 3] = unread(&parked(3, 2));
        let [first, second] = [own[0].enter(), own[1].enter()];
        assert!(!has_to_go(&first));
        let third = own[2].enter();
        assert!(has_to_go(&first));
        assert!(!has_to_go(&second) && !has_to_go(&third));
    }

    #[test]
    fn who_leaves_makes_room() {
        let parked = parked(3, 2);
        let own: [Unread; 3] = unread(&parked);
        let [first, second] = [own[0].enter(), own[1].enter()];
        drop(second);
        let third = own[2].enter();
        assert!(!has_to_go(&first) && !has_to_go(&third));
        drop((first, third));
        assert!(parked.line().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_has_to_go_is_woken() {
        let [one, other] = unread(&parked(2, 1));
        let first = one.enter();
        let needed = poll_fn(|context| first.poll_needed(context));
        let next = async { other.enter() };
        let ((), second) = tokio::join!(needed, next);
        assert!(!has_to_go(&second));
    }
}
