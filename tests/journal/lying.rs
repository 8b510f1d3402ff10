//! A disk that loses, splits and reorders whatever was not synced, and whose
//! calls fail at random. What was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use badgate::journal::{Durability, Mode, Options, ReadError, Record, Writer, read};
use rustix::io::Errno;
use serde_json::json;

use super::disk::{Call, Dice, Fake, Fault};
use super::{quick, record};

const PATH: &str = "/d/x.incident.jsonl";

fn numbered(n: u64, dice: &mut Dice) -> Record {
    let mut r = record(n);
    r.data["id"] = json!(n);
    r.data["pad"] = json!("p".repeat(dice.roll(700) as usize));
    r
}

/// Appends, fails, loses power, reads, goes on: several times over one disk.
fn one_life(seed: u64) {
    let mut dice = Dice::new(seed);
    let options = Options { lock_timeout: Duration::from_millis(2), ..quick() };
    let mut fake = Fake::new();
    let acked = Arc::new(Mutex::new(BTreeSet::new()));
    let mut next = 0;
    let mut sent: Vec<Record> = Vec::new();
    for round in 0..3 {
        let mut fault_dice = Dice::new(seed ^ (round << 32));
        let odds = [0, 8, 30][dice.roll(3) as usize];
        fake.script(move |call, _| {
            if odds == 0 || fault_dice.roll(100) >= odds {
                return None;
            }
            match call {
                Call::Append if fault_dice.roll(2) == 0 => Some(Fault::Short(fault_dice.roll(900) as usize)),
                Call::Append => Some(Fault::Errno(Errno::NOSPC)),
                Call::Sync | Call::Truncate => Some(Fault::Errno(Errno::IO)),
                Call::Lock => Some(Fault::Busy),
                _ => None,
            }
        });
        let (w, _) =
            Writer::start_on(Box::new(fake.clone()), Path::new(PATH), Mode::Either, options.clone()).unwrap();
        let count = 1 + dice.roll(40);
        for _ in 0..count {
            let r = numbered(next, &mut dice);
            sent.push(r.clone());
            let durability = if dice.roll(3) == 0 { Durability::Now } else { Durability::Grouped };
            let acked = Arc::clone(&acked);
            let id = next;
            w.append(r, durability, move |result| {
                if result.is_ok() {
                    acked.lock().unwrap().insert(id);
                }
            });
            next += 1;
            if dice.roll(6) == 0 {
                std::thread::sleep(Duration::from_micros(dice.roll(3000)));
            }
        }
        if dice.roll(3) == 0 {
            let _ = w.flush(Duration::from_millis(20));
        }
        // The power fails: what was acknowledged up to now must be there.
        let promised = acked.lock().unwrap().clone();
        let left = fake.world().after_power_loss(&mut dice);
        fake.script(|_, _| Some(Fault::Errno(Errno::IO)));
        let _ = w.close(Duration::ZERO);
        drop(w);

        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in &left {
            std::fs::write(dir.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let base = dir.path().join("x.incident.jsonl");
        let records = match read(&base) {
            Ok(all) => all.records,
            Err(ReadError::NotFound(_) | ReadError::Empty(_) | ReadError::Foreign { .. }) => Vec::new(),
            Err(e) => panic!("seed {seed}: {e}"),
        };
        let mut found = BTreeSet::new();
        for mut r in records {
            let Some(id) = r.data.get("id").and_then(serde_json::Value::as_u64) else { continue };
            if r.kind == badgate::journal::Kind::Opened {
                continue;
            }
            r.logged = r.at;
            let mut original = sent[id as usize].clone();
            original.logged = original.at;
            assert_eq!(r, original, "seed {seed}: record {id} was changed");
            found.insert(id);
        }
        let lost: Vec<_> = promised.difference(&found).collect();
        assert!(lost.is_empty(), "seed {seed}, round {round}: acknowledged and lost: {lost:?}");
        // What is on the platter now is what the next round starts from.
        acked.lock().unwrap().clone_from(&promised);
        fake = Fake::new();
        for (path, bytes) in &left {
            // A first line lost whole leaves a file the writer must not touch;
            // a person would move it away.
            if bytes.is_empty() || bytes.starts_with(b"{\"v\":") {
                fake.put(path, bytes);
            } else {
                assert!(found.is_empty() || !promised.is_empty());
                fake.put(path, &[b"{\"v\":\n", bytes.as_slice()].concat());
            }
        }
    }
}

#[test]
fn what_was_acknowledged_survives_any_power_loss() {
    for seed in 0..250 {
        one_life(seed);
    }
}
