//! How much memory this process has held at most.

/// Bytes that were resident at once, at most, since the process began; `None` where that
/// cannot be learnt.
pub fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_status(&status)
}

fn parse_status(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_water_mark_is_read() {
        let status = "Name:\tnnc\nVmPeak:\t  99 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(parse_status(status), Some(2 << 20));
        assert_eq!(parse_status("Name:\tnnc\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn touched_memory_counts() {
        let before = peak_resident().unwrap_or_default();
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = peak_resident().unwrap_or_default();
        assert!(
            before > 0 && after >= touched.len() as u64,
            "{before} {after}"
        );
    }
}
