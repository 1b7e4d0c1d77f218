//! Large buffers, freed and allocated again.

/// Page faults of this thread so far that needed no disk.
fn minor_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("own statistics");
    let after_name = stat
        .rsplit_once(") ")
        .expect("a command name in brackets")
        .1;
    after_name
        .split(' ')
        .nth(7)
        .and_then(|field| field.parse().ok())
        .expect("a count of faults")
}

/// Allocates, touches and frees four buffers of 1 MiB, as a call would.
fn use_large_buffers() {
    let buffers: Vec<Vec<u8>> = (0..4).map(|i| vec![i + 1; 1 << 20]).collect();
    assert_eq!(std::hint::black_box(&buffers).len(), 4);
}

#[test]
#[cfg_attr(
    not(all(target_os = "linux", target_env = "gnu")),
    ignore = "needs glibc"
)]
fn large_buffers_are_reused_without_page_faults_on_any_thread() {
    nowire_memory::keep_freed_memory();
    nowire_memory::keep_freed_memory();
    let faults_of_100_rounds = || {
        for _ in 0..3 {
            use_large_buffers();
        }
        let before = minor_faults();
        for _ in 0..100 {
            use_large_buffers();
        }
        minor_faults() - before
    };
    let here = faults_of_100_rounds();
    let elsewhere = std::thread::spawn(faults_of_100_rounds)
        .join()
        .expect("no panic");
    // Each round touches 1024 pages: giving them back costs 100,000 faults.
    assert!(
        here < 1000 && elsewhere < 1000,
        "{here} and {elsewhere} page faults"
    );
}
