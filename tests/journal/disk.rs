//! A file system in memory that fails on demand and forgets what was never
//! synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use badgate::journal::{Disk, DiskFile, FileStatus, How, ReadError};

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Open,
    CreateDir,
    SyncDir,
    Lock,
    Status,
    Read,
    Append,
    Truncate,
    Sync,
}

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// With this error number.
    Errno(rustix::io::Errno),
    /// Takes that many bytes only.
    Short(usize),
    /// The lock is held by somebody.
    Busy,
    /// Answers after that long.
    Slow(Duration),
}

/// One change that has not been synced.
#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, disk: &mut Vec<u8>) {
        match self {
            Change::Truncate(len) => disk.truncate(*len),
            Change::Write { at, bytes } => {
                if disk.len() < at + bytes.len() {
                    disk.resize(at + bytes.len(), 0);
                }
                disk[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What reading gives now.
    pub content: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    name_durable: bool,
}

type Script = Box<dyn FnMut(Call, &Path) -> Option<Fault> + Send>;

pub struct World {
    pub nodes: Vec<Node>,
    pub names: BTreeMap<PathBuf, usize>,
    pub script: Script,
    pub calls: Vec<Call>,
}

/// A handle on the world; clones see the same one.
#[derive(Clone)]
pub struct Fake(Arc<Mutex<World>>);

impl Fake {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            script: Box::new(|_, _| None),
            calls: Vec::new(),
        })))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub fn script(&self, script: impl FnMut(Call, &Path) -> Option<Fault> + Send + 'static) {
        self.world().script = Box::new(script);
    }

    pub fn heal(&self) {
        self.script(|_, _| None);
    }

    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let node =
            Node { content: bytes.to_vec(), durable: bytes.to_vec(), name_durable: true, ..Node::default() };
        world.nodes.push(node);
        let index = world.nodes.len() - 1;
        world.names.insert(path.to_path_buf(), index);
    }

    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(path).map(|i| world.nodes[*i].content.clone())
    }

    pub fn append_as_other(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let index = world.names[path];
        world.nodes[index].content.extend_from_slice(bytes);
    }

    fn call(&self, call: Call, path: &Path) -> Result<Option<Fault>, io::Error> {
        let fault = {
            let mut world = self.world();
            world.calls.push(call);
            (world.script)(call, path)
        };
        match fault {
            Some(Fault::Errno(e)) => Err(e.into()),
            Some(Fault::Slow(pause)) => {
                std::thread::sleep(pause);
                Ok(None)
            }
            other => Ok(other),
        }
    }
}

impl Disk for Fake {
    fn open(&mut self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>> {
        self.call(Call::Open, path)?;
        let mut world = self.world();
        let index = match (how, world.names.get(path).copied()) {
            (How::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (How::Existing, None) => return Err(io::ErrorKind::NotFound.into()),
            (How::Existing, Some(index)) => index,
            (How::Create, None) => {
                world.nodes.push(Node::default());
                let index = world.nodes.len() - 1;
                world.names.insert(path.to_path_buf(), index);
                index
            }
        };
        Ok(Box::new(FakeFile { fake: self.clone(), index, path: path.to_path_buf() }))
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, dir).map(|_| ())
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, dir)?;
        let mut world = self.world();
        let indices: Vec<usize> =
            world.names.iter().filter(|(p, _)| p.parent() == Some(dir)).map(|(_, i)| *i).collect();
        for index in indices {
            world.nodes[index].name_durable = true;
        }
        Ok(())
    }

    fn exists(&mut self, path: &Path) -> bool {
        self.world().names.contains_key(path)
    }

    fn check(&mut self, path: &Path) -> Result<(), ReadError> {
        match self.content(path) {
            None => Err(ReadError::NotFound("fake".into())),
            Some(bytes) if bytes.is_empty() || bytes.starts_with(b"{\"v\":") => Ok(()),
            Some(_) => Err(ReadError::Foreign { path: "fake".into(), why: "not ours".into() }),
        }
    }
}

struct FakeFile {
    fake: Fake,
    index: usize,
    path: PathBuf,
}

impl DiskFile for FakeFile {
    fn try_lock(&mut self) -> io::Result<bool> {
        Ok(!matches!(self.fake.call(Call::Lock, &self.path)?, Some(Fault::Busy)))
    }

    fn unlock(&mut self) {}

    fn status(&mut self) -> io::Result<FileStatus> {
        self.fake.call(Call::Status, &self.path)?;
        let world = self.fake.world();
        let node = &world.nodes[self.index];
        Ok(FileStatus { len: node.content.len() as u64, links: 1 })
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fake.call(Call::Read, &self.path)?;
        let world = self.fake.world();
        let content = &world.nodes[self.index].content;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = match self.fake.call(Call::Append, &self.path)? {
            Some(Fault::Short(n)) => n.min(bytes.len()),
            _ => bytes.len(),
        };
        let mut world = self.fake.world();
        let node = &mut world.nodes[self.index];
        let at = node.content.len();
        node.content.extend_from_slice(&bytes[..n]);
        node.unsynced.push(Change::Write { at, bytes: bytes[..n].to_vec() });
        Ok(n)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.fake.call(Call::Truncate, &self.path)?;
        let mut world = self.fake.world();
        let node = &mut world.nodes[self.index];
        node.content.truncate(len as usize);
        node.unsynced.push(Change::Truncate(len as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let outcome = self.fake.call(Call::Sync, &self.path);
        let mut world = self.fake.world();
        let node = &mut world.nodes[self.index];
        match outcome {
            Ok(_) => {
                for change in std::mem::take(&mut node.unsynced) {
                    change.apply(&mut node.durable);
                }
                Ok(())
            }
            Err(e) => {
                // The kernel marks the pages clean: what was not written is
                // still to be read, will never reach the platter, and the next
                // sync reports success.
                node.unsynced.clear();
                Err(e)
            }
        }
    }
}

/// Reproducible choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

impl World {
    /// What is left after the power failed: synced data, and of the rest any
    /// sectors in any order. A file whose folder was not synced may be gone.
    pub fn after_power_loss(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut left = BTreeMap::new();
        for (path, index) in &self.names {
            let node = &self.nodes[*index];
            if !node.name_durable && dice.roll(2) == 0 {
                continue;
            }
            let mut disk = node.durable.clone();
            let sector = [16, 512, 4096, 16384][dice.roll(4) as usize];
            let mut pieces = Vec::new();
            for change in &node.unsynced {
                match change {
                    Change::Truncate(len) => pieces.push(Change::Truncate(*len)),
                    Change::Write { at, bytes } => {
                        let mut at = *at;
                        let mut rest = bytes.as_slice();
                        while !rest.is_empty() {
                            let n = rest.len().min(sector - at % sector);
                            pieces.push(Change::Write { at, bytes: rest[..n].to_vec() });
                            at += n;
                            rest = &rest[n..];
                        }
                    }
                }
            }
            // Reordered: any piece may have gone out before any other.
            for i in (1..pieces.len()).rev() {
                pieces.swap(i, dice.roll(i as u64 + 1) as usize);
            }
            let survive = dice.roll(4);
            for piece in pieces {
                if dice.roll(4) > survive {
                    continue;
                }
                match piece {
                    // Sizes go with the journal of the file system, so a cut
                    // never reaches into what was synced.
                    Change::Truncate(len) => Change::Truncate(len.max(node.durable.len())).apply(&mut disk),
                    write => write.apply(&mut disk),
                }
            }
            left.insert(path.clone(), disk);
        }
        left
    }
}
