use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::thread;

fn capacity(items: usize) -> NonZeroUsize {
    NonZeroUsize::new(items).expect("tests ask for at least one")
}

fn policy() -> impl Strategy<Value = WhenFull> {
    prop_oneof![Just(WhenFull::ReplaceOldest), Just(WhenFull::Wait)]
}

#[test]
fn the_newest_wins_and_the_replaced_item_comes_back() {
    let (mut sender, mut receiver) = bounded(capacity(1), WhenFull::ReplaceOldest);
    assert_eq!(sender.send(1), Ok(None));
    assert_eq!(sender.send(2), Ok(Some(1)));
    assert_eq!(receiver.recv(), Some(2));
}

#[test]
fn what_is_in_the_queue_survives_the_sender() {
    let (mut sender, mut receiver) = bounded(capacity(2), WhenFull::Wait);
    assert_eq!(sender.send(1), Ok(None));
    drop(sender);
    assert_eq!((receiver.recv(), receiver.recv()), (Some(1), None));
}

#[test]
fn a_sender_notices_that_the_receiver_is_gone_though_it_holds_one_itself() {
    for when_full in [WhenFull::ReplaceOldest, WhenFull::Wait] {
        let (mut sender, receiver) = bounded(capacity(1), when_full);
        drop(receiver);
        assert_eq!(sender.send(1), Err(Closed { item: 1, replaced: None }));
        assert!(sender.items.is_empty());
    }
}

#[test]
fn a_waiting_sender_is_woken_when_the_receiver_goes() {
    let (mut sender, receiver) = bounded(capacity(1), WhenFull::Wait);
    assert_eq!(sender.send(1), Ok(None));
    let waiting = thread::spawn(move || sender.send(2));
    let rest = receiver.close();
    let sent = waiting.join().unwrap();
    // Whether it had begun to wait or not: 2 came out at exactly one end.
    assert!(
        (rest == [1] && sent == Err(Closed { item: 2, replaced: None })) || (rest == [1, 2] && sent == Ok(None)),
        "{rest:?} {sent:?}"
    );
}

proptest! {
    /// Against the obvious model: a deque. `true` sends, `false` receives.
    #[test]
    fn a_queue_keeps_its_capacity_and_order(items in 1_usize..5, when_full in policy(), steps in prop::collection::vec(any::<bool>(), 0..80)) {
        let (mut sender, mut receiver) = bounded(capacity(items), when_full);
        let mut model = VecDeque::new();
        for (number, send) in steps.into_iter().enumerate() {
            if send && !(when_full == WhenFull::Wait && model.len() == items) {
                let expected = if model.len() == items { model.pop_front() } else { None };
                prop_assert_eq!(sender.send(number), Ok(expected));
                model.push_back(number);
            } else if !send && !model.is_empty() {
                prop_assert_eq!(receiver.recv(), model.pop_front());
            }
            prop_assert!(sender.items.len() <= items);
            prop_assert_eq!(sender.items.len(), model.len());
        }
        prop_assert_eq!(receiver.close(), Vec::from(model));
    }

    /// Two threads at full speed, the receiver leaving at some point: every item comes out at exactly one end.
    #[test]
    fn nothing_is_lost_unaccounted_even_when_the_receiver_leaves(items in 1_usize..4, when_full in policy(), sent in 1_usize..300, taken in 0_usize..300) {
        let (mut sender, mut receiver) = bounded(capacity(items), when_full);
        let sending = thread::spawn(move || {
            let (mut replaced, mut refused) = (Vec::new(), Vec::new());
            for number in 0..sent {
                match sender.send(number) {
                    Ok(old) => replaced.extend(old),
                    Err(closed) => {
                        replaced.extend(closed.replaced);
                        refused.push(closed.item);
                    }
                }
                assert!(sender.items.len() <= items);
            }
            (replaced, refused)
        });
        let mut received: Vec<usize> = (0..taken).map_while(|_| receiver.recv()).collect();
        received.extend(receiver.close());
        let (replaced, refused) = sending.join().unwrap();
        prop_assert!(received.is_sorted() && replaced.is_sorted() && refused.is_sorted());
        prop_assert!(when_full == WhenFull::ReplaceOldest || replaced.is_empty());
        let mut all = [received, replaced, refused].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..sent).collect::<Vec<_>>());
    }
}
