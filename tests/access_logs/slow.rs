//! A reader that shares nothing with the fast one: it goes character by
//! character, keeps everything, and sorts it at the end.

use std::collections::BTreeMap;

#[derive(Default, Debug)]
pub struct Slow {
    pub rows: u64,
    pub unparsed: u64,
    pub pairs: BTreeMap<(Option<u16>, Option<u16>), u64>,
    pub targets_502: BTreeMap<String, u64>,
    /// Minute as `2026-05-04T10:25`: rows, 502, 503, 504.
    pub minutes: BTreeMap<String, [u64; 4]>,
    /// Milliseconds.
    pub target_times: Vec<u64>,
    /// Rows that speak for a cause of their own.
    pub causes: BTreeMap<&'static str, u64>,
    /// 502 after the request was sent.
    pub broken: u64,
    /// 502 before it was.
    pub refused: u64,
}

impl Slow {
    pub fn read(text: &[u8]) -> Slow {
        let mut s = Slow::default();
        for line in text.split(|b| *b == b'\n') {
            let line: String = line.iter().map(|b| *b as char).collect();
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            match s.row(line) {
                Some(()) => s.rows += 1,
                None => s.unparsed += 1,
            }
        }
        s.target_times.sort_unstable();
        s
    }

    fn row(&mut self, line: &str) -> Option<()> {
        let f = fields(line);
        if f.len() < 21 {
            return None;
        }
        f[1].parse::<jiff::Timestamp>().ok()?;
        let status = |t: &str| match t {
            "-" => Some(None),
            t if t.len() == 3 => t.parse::<u16>().ok().map(Some),
            _ => None,
        };
        let (lb, target) = (status(&f[8])?, status(&f[9])?);
        *self.pairs.entry((lb, target)).or_default() += 1;
        let m = self.minutes.entry(f[1][..16].to_owned()).or_default();
        m[0] += 1;
        for (i, code) in [502, 503, 504].into_iter().enumerate() {
            m[i + 1] += u64::from(lb == Some(code));
        }
        if lb == Some(502) {
            *self.targets_502.entry(f[4].clone()).or_default() += 1;
        }
        if f[6] != "-1" {
            self.target_times.push((f[6].parse::<f64>().ok()? * 1000.0).round() as u64);
        }
        let untimed = f[5] == "-1" && f[6] == "-1" && f[7] == "-1";
        let mut cause = |c| *self.causes.entry(c).or_default() += 1;
        let reason = f.get(24).map_or("-", String::as_str);
        match (lb, target, f[4].as_str(), reason) {
            (_, Some(502..=504), ..) => cause("local-proxy-upstream-failure"),
            (_, Some(500..), ..) => cause("app-exception-or-plugin-bug"),
            (_, _, _, "LambdaInvalidResponse") => cause("alb-lambda-invalid-response"),
            (Some(502), ..) if untimed => self.refused += 1,
            (Some(502), ..) => self.broken += 1,
            (Some(503), _, "-", _) => cause("alb-no-usable-targets"),
            (Some(504), ..) => cause("alb-target-response-timeout"),
            (Some(460), ..) => cause("client-aborts-before-response"),
            _ => {}
        }
        Some(())
    }

    /// The value at position `floor(q * n)`, in seconds.
    pub fn quantile(&self, q: f64) -> f64 {
        let i = (self.target_times.len() as f64 * q) as usize;
        self.target_times[i.min(self.target_times.len() - 1)] as f64 / 1000.0
    }
}

/// A quote ends where a blank or the end follows and no odd number of backslashes stands before.
fn fields(line: &str) -> Vec<String> {
    let c: Vec<char> = line.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < c.len() {
        if c[i] == ' ' {
            i += 1;
            continue;
        }
        let mut word = String::new();
        if c[i] == '"' {
            i += 1;
            let mut slashes = 0;
            let mut closed = false;
            while i < c.len() {
                if c[i] == '"' && slashes % 2 == 0 && (i + 1 == c.len() || c[i + 1] == ' ') {
                    closed = true;
                    i += 1;
                    break;
                }
                slashes = if c[i] == '\\' { slashes + 1 } else { 0 };
                word.push(c[i]);
                i += 1;
            }
            if !closed && out.len() < 14 {
                // A request or user agent without end.
                return Vec::new();
            }
        } else {
            while i < c.len() && c[i] != ' ' {
                word.push(c[i]);
                i += 1;
            }
        }
        out.push(word);
    }
    out
}
