use std::io;

/// What a process has and uses, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings of memory files.
    pub shared_mappings: usize,
    /// Address space of those mappings, in bytes.
    pub shared_bytes: u64,
    /// Private memory that is present, in bytes.
    pub private_bytes: u64,
    /// Threads.
    pub threads: usize,
    /// CPU time used, in ticks of the system's clock (a hundredth of a second).
    pub cpu_ticks: u64,
}

impl Vitals {
    /// Asks for a process of this user.
    ///
    /// # Errors
    /// If it is gone, or not ours to look at.
    pub fn of(pid: u32) -> io::Result<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        let broken = |file: &str| io::Error::new(io::ErrorKind::InvalidData, file.to_owned());
        let maps = read("maps")?;
        let shared: Vec<u64> = maps
            .lines()
            .filter(|line| line.contains("/memfd:"))
            .filter_map(mapping_bytes)
            .collect();
        let status = read("status")?;
        let private_kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
            .ok_or_else(|| broken("status"))?;
        let stat = read("stat")?;
        // The program's name may hold anything but ends at the last bracket.
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace())
            .ok_or_else(|| broken("stat"))?
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .copied()
                .ok_or_else(|| broken("stat"))
        };
        Ok(Self {
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            shared_mappings: shared.len(),
            shared_bytes: shared.iter().sum(),
            private_bytes: private_kib * 1024,
            threads: field(20)? as usize,
            cpu_ticks: field(14)? + field(15)?,
        })
    }
}

fn mapping_bytes(line: &str) -> Option<u64> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(to)? - number(from)?)
}
