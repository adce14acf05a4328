//! A disk that is full: `volley dev --data` on a small file system of its own.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Running, Topic, Volley, broker, eventually, has_engine, query, skip};

/// Enough for the engine and its own logs, and soon filled.
const DISK: &str = "size=256m";

/// `volley dev` in a mount namespace of its own, in which `/mnt` is a small disk.
struct SmallDisk {
    dev: Running,
    url: String,
}

fn start() -> Option<SmallDisk> {
    if !has_engine() {
        return None;
    }
    // Without privileges a user namespace gives the right to mount.
    let flags = ["-m", "-rm"].into_iter().find(|flags| {
        let mounted = unshare(flags, "true").output();
        mounted.is_ok_and(|output| output.status.success())
    });
    let Some(flags) = flags else {
        skip("cannot mount a small tmpfs with unshare(1); run as root, or allow user namespaces");
        return None;
    };
    let binary = env!("CARGO_BIN_EXE_volley");
    let command = format!("exec '{binary}' dev --format json --data /mnt/data");
    let mut dev = Volley::of(unshare(flags, &command)).start();
    let printed = dev.wait_for_stdout("\n");
    let addresses: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let url = addresses["clickhouse"].as_str().unwrap().to_owned();
    Some(SmallDisk { dev, url })
}

fn unshare(flags: &str, then: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o {DISK} tmpfs /mnt && {then}");
    command.args([flags, "sh", "-c", &script]);
    command
}

impl SmallDisk {
    /// Takes all the room there is; removing the file gives it back.
    fn fill(&self) -> PathBuf {
        let path = Path::new("/proc").join(self.dev.pid().to_string()).join("root/mnt/ballast");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![1; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }

    fn load(&self, topic: &Topic<'_>, arguments: &[&str]) -> Running {
        topic.load_as_nobody(&self.url, "small.rows").args(arguments).start()
    }

    fn count(&self) -> u64 {
        if query(&self.url, "EXISTS small.rows") == "0" {
            return 0;
        }
        query(&self.url, "SELECT uniqExact(device, ts) FROM small.rows").parse().unwrap()
    }
}

#[test]
fn load_waits_for_room_and_loses_nothing() {
    let Some(disk) = start() else {
        return;
    };
    let topic = broker().topic(1);
    topic.fill(500);
    let mut run = disk.load(&topic, &[]);
    eventually("the first rows", || (disk.count() == 500).then_some(()));
    let before = eventually("the commit", || {
        let committed = topic.committed();
        (committed == topic.ends()).then_some(committed)
    });
    let ballast = disk.fill();
    topic.fill(5000);
    run.wait_for_stderr("not enough space");
    run.wait_for_stderr("rows wait, next try in");
    assert_eq!(topic.committed(), before, "nothing is committed that is not stored");

    let gives_up = disk.load(&topic.in_another_group(), &["--retry-for", "1s"]);
    gives_up.wait().fails().says(&["were not inserted into small.rows", "not enough space"]);

    fs::remove_file(ballast).unwrap();
    eventually("all rows", || (disk.count() == 5500).then_some(()));
    run.signal("INT");
    let run = run.wait().succeeds();
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    disk.dev.signal("INT");
    disk.dev.wait().succeeds();
}
