use super::*;
use std::io::Write;

const ROW: &str = "203.0.113.9 - - [04/May/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 502 5 \"-\" \"x\"\n";

/// Opens a file, lets `meddle` have it, and reads it then.
fn while_read(rows: usize, meddle: impl FnOnce(&std::path::Path)) -> (u64, Notes) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    std::fs::write(&path, ROW.repeat(rows)).unwrap();
    let found = find(std::slice::from_ref(&path), None, None);
    let (plan, progress, waiting) = (Plan::default(), Progress::default(), Mutex::default());
    let shared = Shared {
        inputs: &found.inputs,
        plan: &plan,
        progress: &progress,
        notes: Mutex::default(),
        rows: vec![Default::default()],
    };
    let mut worker = Worker::new(&shared);
    let first = cut(&shared, 0, &waiting);
    meddle(&path);
    let units = first.into_iter().chain(waiting.into_inner().unwrap());
    units.for_each(|u| worker.unit(u, false));
    let rows = worker.tally.rows;
    (rows, shared.notes.into_inner().unwrap())
}

#[test]
fn a_file_that_grows_shrinks_or_vanishes_is_named() {
    let (rows, notes) = while_read(10, |p| {
        let mut f = File::options().append(true).open(p).unwrap();
        f.write_all(ROW.repeat(3).as_bytes()).unwrap();
    });
    assert_eq!((rows, notes.problems.len()), (10, 0));
    assert!(notes.grown[0].what.contains(&format!("grew by {} bytes", ROW.len() * 3)), "{:?}", notes.grown);

    // Three slices, of which two are gone: one line about it.
    let many = (3 * SLICE as usize - 100) / ROW.len();
    let (rows, notes) = while_read(many, |p| {
        File::options().write(true).open(p).unwrap().set_len(5 * ROW.len() as u64).unwrap()
    });
    assert_eq!((rows, notes.problems.len()), (5, 1), "{:?}", notes.problems);
    assert!(notes.problems[0].what.contains("was cut or written anew"), "{:?}", notes.problems);

    // What is open can be read to its end.
    let (rows, notes) = while_read(10, |p| std::fs::remove_file(p).unwrap());
    assert_eq!((rows, notes.problems.len(), notes.grown.len()), (10, 0, 0));
    let missing = Input {
        name: "x".into(),
        path: Some("/nowhere/x.log".into()),
        afar: None,
        size: 5,
        node: Vec::new(),
    };
    let out = run(&[missing], &Plan::default(), &Progress::default(), |_| {});
    assert!(out.problems[0].what.contains("vanished"), "{:?}", out.problems);
}
