use super::*;

#[tokio::test]
async fn a_second_run_waits_until_the_first_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(&dir.path().join("locks"), "engine:1").unwrap();
    let cancel = CancellationToken::new();
    let first = locks.lock_image("abc", &cancel, || {}).await.unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    let second = tokio::spawn({
        let (locks, cancel) = (locks.clone(), cancel.clone());
        async move { locks.lock_image("abc", &cancel, || tell.send(()).unwrap()).await.unwrap() }
    });
    told.await.expect("the second says that it waits");
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().is_some());
}

fn locks(dir: &tempfile::TempDir, engine: &str) -> Locks {
    Locks::open(dir.path(), engine).unwrap()
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_machine_is_handed_over_at_once_and_to_every_engine_s_runs() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let LockOutcome::Mine(first) = locks(&dir, "a").lock_machine(LONG, &cancel).await.unwrap() else {
        panic!()
    };
    let second = tokio::spawn({
        let (locks, cancel) = (locks(&dir, "b"), cancel.clone());
        async move { locks.lock_machine(LONG, &cancel).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!second.is_finished());
    drop(first);
    let handed = tokio::time::timeout(Duration::from_secs(5), second).await;
    assert!(matches!(handed.expect("within 5 s").unwrap(), LockOutcome::Mine(_)));
}

#[tokio::test]
async fn who_comes_too_late_learns_who_has_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let (locks, cancel) = (locks(&dir, "a"), CancellationToken::new());
    let LockOutcome::Mine(_held) = locks.lock_machine(LONG, &cancel).await.unwrap() else { panic!() };
    let late = locks.lock_machine(Duration::from_millis(10), &cancel).await.unwrap();
    let LockOutcome::Late(Some(holder)) = late else { panic!("{late:?}") };
    assert_eq!(holder.pid, std::process::id());
    assert_eq!(holder.uid, Some(rustix::process::getuid().as_raw()));
    assert!(!holder.command.unwrap().is_empty());
}

#[tokio::test]
async fn who_gave_up_waiting_does_not_hold_the_machine_later() {
    let dir = tempfile::tempdir().unwrap();
    let (locks, cancel) = (locks(&dir, "a"), CancellationToken::new());
    let LockOutcome::Mine(held) = locks.lock_machine(LONG, &cancel).await.unwrap() else { panic!() };
    let late = locks.lock_machine(Duration::from_millis(10), &cancel).await.unwrap();
    assert!(matches!(late, LockOutcome::Late(_)));
    cancel.cancel();
    assert!(matches!(locks.lock_machine(LONG, &cancel).await.unwrap(), LockOutcome::Cancelled));
    drop(held);
    let again = locks.lock_machine(LONG, &CancellationToken::new()).await.unwrap();
    assert!(matches!(again, LockOutcome::Mine(_)), "{again:?}");
}

#[tokio::test]
async fn waiting_ends_when_the_run_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let cancel = CancellationToken::new();
    let _held = locks.lock_image("abc", &cancel, || {}).await.unwrap();
    cancel.cancel();
    assert!(locks.lock_image("abc", &cancel, || {}).await.unwrap().is_none());
    assert!(locks.lock_image("other", &cancel, || {}).await.unwrap().is_some(), "another recipe is free");
}

#[test]
fn a_container_has_one_run_at_it_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let first = locks.lease("thesis._.1001").unwrap().unwrap();
    assert!(locks.lease("thesis._.1001").unwrap().is_none());
    assert!(Locks::open(dir.path(), "f").unwrap().lease("thesis._.1001").unwrap().is_some());
    assert_eq!(files(), 1);
    drop(first);
    assert_eq!(files(), 0);
    assert!(locks.lease("thesis._.1001").unwrap().is_some());
}

#[test]
fn a_file_that_was_taken_away_locks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let inside = &std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let locks = locks.clone();
            scope.spawn(move || {
                for _ in 0..500 {
                    let Some(_living) = locks.lease("x").unwrap() else { continue };
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
}

async fn machine(locks: &Locks) -> MachineLock {
    match locks.lock_machine(LONGEST, &CancellationToken::new()).await.unwrap() {
        LockOutcome::Mine(lock) => lock,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn so_many_go_on_and_the_next_waits_for_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let cancel = CancellationToken::new();
    let _machine = machine(&locks).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(locks.start_permit(2, &cancel).await.unwrap().unwrap());
    }
    let next = tokio::spawn({
        let (locks, cancel) = (locks.clone(), cancel.clone());
        async move { locks.start_permit(2, &cancel).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!next.is_finished());
    drop(held);
    assert!(next.await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_waits_where_nothing_is_being_given_away() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let cancel = CancellationToken::new();
    let _held = locks.start_permit(1, &cancel).await.unwrap().unwrap();
    assert!(locks.start_permit(1, &cancel).await.unwrap().is_none());
    machine(&locks).await;
}

#[tokio::test]
async fn who_is_told_to_stop_or_waits_too_long_goes_on_without() {
    let dir = tempfile::tempdir().unwrap();
    let locks = Locks::open(dir.path(), "e").unwrap();
    let cancel = CancellationToken::new();
    let _machine = machine(&locks).await;
    let _held = locks.start_permit(0, &cancel).await.unwrap().unwrap();
    tokio::time::pause();
    assert!(locks.start_permit(0, &cancel).await.unwrap().is_none());
    cancel.cancel();
    assert!(locks.start_permit(0, &cancel).await.unwrap().is_none());
}
