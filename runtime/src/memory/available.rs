//! How much memory there is left to use.

use std::path::{Component, Path};

/// Bytes that this process could still use: what the system calls available, or
/// less where a control group limits it; `u64::MAX` where neither can be learnt.
pub fn available_memory() -> u64 {
    let system = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| parse_meminfo(&text));
    let group = std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| control_group_room(Path::new("/sys/fs/cgroup"), &text));
    system.into_iter().chain(group).min().unwrap_or(u64::MAX)
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What the limits of the process's control group (version 2) and of those around it
/// leave, if there are any; `membership` is the text of `/proc/self/cgroup`.
fn control_group_room(root: &Path, membership: &str) -> Option<u64> {
    let group = membership.lines().find_map(|l| l.strip_prefix("0::"))?;
    // Where the group lies outside of what is mounted here, the root is what counts.
    let names = Path::new(group).components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut folder = root.to_path_buf();
    let mut smallest = room_in(&folder);
    for name in names {
        folder.push(name);
        smallest = smallest.into_iter().chain(room_in(&folder)).min();
    }
    smallest
}

/// What one group's own limit leaves.
fn room_in(group: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| -> Option<u64> { read(name)?.trim().parse().ok() };
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    let cached = read("memory.stat").map_or(0, |text| page_cache(&text));
    Some(most.saturating_sub(used.saturating_sub(cached)))
}

/// Bytes of files that the group merely has in memory: they count as used, yet give way
/// to whoever needs the memory. Shared memory is not among them.
fn page_cache(stat: &str) -> u64 {
    let number = |line: &str| -> Option<u64> {
        let (name, bytes) = line.split_once(' ')?;
        let gives_way = matches!(name, "inactive_file" | "active_file");
        gives_way.then(|| bytes.trim().parse().ok())?
    };
    stat.lines().filter_map(number).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn meminfo_is_understood() {
        let text = "MemTotal: 100 kB\nMemAvailable:   24117248 kB\n";
        assert_eq!(parse_meminfo(text), Some(24_117_248 * 1024));
        assert_eq!(parse_meminfo("MemTotal: 100 kB\n"), None);
        assert_eq!(parse_meminfo("MemAvailable: x kB\n"), None);
    }

    fn write_group(folder: &Path, most: &str, used: u64, stat: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("memory.max"), format!("{most}\n")).unwrap();
        fs::write(folder.join("memory.current"), format!("{used}\n")).unwrap();
        fs::write(folder.join("memory.stat"), stat).unwrap();
    }

    #[test]
    fn files_in_memory_leave_room() {
        let root = tempfile::tempdir().unwrap();
        let room = |used: u64, stat: &str| {
            write_group(root.path(), "1000", used, stat);
            control_group_room(root.path(), "0::/\n")
        };
        assert_eq!(room(900, ""), Some(100));
        let stat = "anon 300\nfile 610\nshmem 10\ninactive_file 400\nactive_file 200\n";
        assert_eq!(room(900, stat), Some(700));
        // The numbers are not read at one moment: never more room than the limit.
        assert_eq!(room(500, stat), Some(1000));
        assert_eq!(room(1200, "inactive_file 100\n"), Some(0));
        assert_eq!(room(900, "inactive_file many\n"), Some(100));
    }

    #[test]
    fn the_tightest_of_nested_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let outer = root.path().join("outer");
        let inner = outer.join("inner");
        // As on machines: the root itself has no limit.
        fs::write(root.path().join("memory.stat"), "").unwrap();
        write_group(&outer, "1000", 600, "");
        write_group(&inner, "max", 100, "");
        let membership = "4:memory:/elsewhere\n0::/outer/inner\n";
        let room = || control_group_room(root.path(), membership);
        assert_eq!(room(), Some(400));
        write_group(&inner, "300", 100, "inactive_file 50\n");
        assert_eq!(room(), Some(250));
        write_group(&outer, "1000", 900, "");
        assert_eq!(room(), Some(100));
        assert_eq!(control_group_room(root.path(), "0::/\n"), None);
        assert_eq!(control_group_room(root.path(), "0::/../gone\n"), None);
        assert_eq!(control_group_room(root.path(), "4:memory:/outer\n"), None);
    }
}
