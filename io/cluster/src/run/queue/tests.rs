//! The queue: each task once, nothing lost.

use kelson_plans::{Controller, Key, Task};
use tokio::time::{Duration, Instant};

use super::Queue;

fn task(name: &str) -> Task {
    Task::new(Controller::Deployment, Key::new("default", name))
}

fn drain(queue: &mut Queue) -> Vec<String> {
    std::iter::from_fn(|| queue.pop()).map(|task| task.key.name).collect()
}

#[test]
fn a_task_stands_in_it_once() {
    let mut queue = Queue::default();
    ["a", "b", "a"].iter().for_each(|name| queue.push(task(name)));
    assert_eq!(drain(&mut queue), ["a", "b"]);
    queue.push(task("a"));
    assert_eq!(drain(&mut queue), ["a"]);
}

#[test]
fn a_task_woken_under_way_comes_up_when_it_lands() {
    let mut queue = Queue::default();
    queue.fly(task("a"));
    queue.push(task("a"));
    queue.push(task("a"));
    assert!(drain(&mut queue).is_empty());
    queue.land(&task("a"));
    assert_eq!(drain(&mut queue), ["a"]);
    queue.fly(task("a"));
    queue.land(&task("a"));
    assert!(drain(&mut queue).is_empty());
}

#[test]
fn a_deferred_task_comes_up_when_let_go() {
    let mut queue = Queue::default();
    queue.push(task("a"));
    let taken = queue.pop().unwrap();
    queue.defer(taken);
    queue.push(task("a"));
    assert!(drain(&mut queue).is_empty());
    queue.undefer(task("a"));
    assert_eq!(drain(&mut queue), ["a"]);
    queue.undefer(task("b"));
    assert!(drain(&mut queue).is_empty(), "nobody asked for it");
}

#[test]
fn what_is_due_earlier_counts() {
    let mut queue = Queue::default();
    let now = Instant::now();
    queue.push_at(task("a"), now + Duration::from_secs(9));
    queue.push_at(task("a"), now + Duration::from_secs(2));
    queue.push_at(task("a"), now + Duration::from_secs(5));
    assert_eq!(queue.next_due(), Some(now + Duration::from_secs(2)));
    queue.ripen(now + Duration::from_secs(1));
    assert!(drain(&mut queue).is_empty());
    queue.ripen(now + Duration::from_secs(2));
    assert_eq!(drain(&mut queue), ["a"]);
    assert_eq!(queue.next_due(), None);
}
