//! Rows of a made-up load balancer: an hour with an incident in it, and every
//! oddity a log can hold. The same seed gives the same bytes.

/// A small generator of numbers (splitmix64), so that rows do not depend on a library's version.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One good or failing row's fields, before they become text.
pub struct Row {
    pub at_us: i64,
    pub target: String,
    pub times: [f64; 3],
    pub lb: String,
    pub status: String,
    pub received: u64,
    pub path: String,
    pub agent: String,
    pub reason: String,
    pub actions: String,
}

impl Row {
    pub fn good(at_us: i64, target: &str) -> Row {
        Row {
            at_us,
            target: target.into(),
            times: [0.001, 0.02, 0.001],
            lb: "200".into(),
            status: "200".into(),
            received: 400,
            path: "/".into(),
            agent: "curl/8".into(),
            reason: "-".into(),
            actions: "forward".into(),
        }
    }

    /// As an Application Load Balancer writes it, with so many fields.
    pub fn text(&self, fields: usize) -> String {
        let at = stamp(self.at_us);
        let spent: f64 = self.times.iter().map(|t| t.max(0.0)).sum();
        let created = stamp(self.at_us - (spent * 1e6) as i64);
        let t = self.times.map(|t| if t < 0.0 { "-1".to_owned() } else { format!("{t:.3}") }).join(" ");
        let all = format!(
            "https {at} app/shop/50dc 203.0.113.{}:40{:03} {} {t} {} {} {} 512 \"GET https://shop.example.com:443{} HTTP/1.1\" \"{}\" \
             TLS_AES TLSv1.3 arn:tg/web \"Root=1-{}\" \"shop.example.com\" \"arn:cert\" 1 {created} \"{}\" \"-\" \"{}\" \
             \"{}\" \"{}\" \"-\" \"-\" TID_{:x} \"-\" \"-\" \"-\" 10.0.0.7",
            self.at_us % 250,
            self.at_us % 1000,
            self.target,
            self.lb,
            self.status,
            self.received,
            self.path,
            self.agent,
            self.at_us,
            self.actions,
            self.reason,
            self.target,
            self.status,
            self.at_us,
        );
        // Fields behind the 29th come without blanks in them.
        let surplus = 34 - fields.min(34);
        let mut cut = all.as_str();
        for _ in 0..surplus {
            cut = &cut[..cut.rfind(' ').unwrap()];
        }
        cut.to_owned()
    }
}

pub fn stamp(us: i64) -> String {
    let t = jiff::Timestamp::from_microsecond(us).unwrap();
    format!("{t:.6}")
}

/// 2026-05-04T10:00Z.
pub const START: i64 = 1_777_888_800_000_000;

/// `n` lines of one hour, with line ends, in the order a log has them.
pub fn odd(n: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut d = Dice(seed);
    let targets: Vec<String> = (0..9)
        .map(|i| if i == 8 { "2001:db8:1::5:8080".into() } else { format!("10.0.{}.{}:8080", i % 3, 10 + i) })
        .collect();
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64)",
        "curl \\\"8\\\" beta",
        "\\x22odd\\x22",
        "tail of slashes \\\\",
        "evil \u{1b}[31m\u{1b}]0;title\u{7} \u{202e}",
        "-",
        "",
    ];
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let at_us = START + (3_600_000_000.0 * i as f64 / n as f64) as i64 + d.below(1000) as i64;
        let minute = (at_us - START) / 60_000_000;
        let incident = (25..40).contains(&minute);
        let mut r = Row::good(at_us, &targets[d.below(9) as usize]);
        r.times = [
            d.part() * 0.002,
            (-3.6 + 1.1 * (d.part() + d.part() + d.part() - 1.5) * 2.0).exp(),
            d.part() * 0.001,
        ];
        r.received = 80 + d.below(1700);
        r.agent = agents[d.below(agents.len() as u64) as usize].into();
        r.path = match d.below(6) {
            0 => format!("/api/v1/orders/{}", d.below(100_000)),
            1 => "/api/v1/cart".into(),
            2 => format!("/search?q=a b \u{1b}[2J&n={}", d.below(9)),
            3 => "/\u{65e5}\u{672c}\u{8a9e}/%E3%81%82".into(),
            4 => "/say\\\"hi\\\"".into(),
            _ => "/".into(),
        };
        let x = d.part();
        if x < if incident { 0.06 } else { 0.004 } {
            (r.lb, r.status) = ("502".into(), "-".into());
            match d.below(10) {
                0..4 => (r.times[1], r.times[2]) = (0.001 + d.part() * 0.003, -1.0),
                4..6 => {
                    r.target = targets[2].clone();
                    r.times = [-1.0; 3];
                }
                6..8 => {
                    r.target = targets[5].clone();
                    (r.times[1], r.times[2]) = (0.2 + d.part() * 20.0, -1.0);
                }
                8 => r.status = "502".into(),
                _ => (r.target, r.reason) = ("-".into(), "LambdaInvalidResponse".into()),
            }
        } else if x < 0.065 {
            (r.lb, r.status) = ("404".into(), "404".into());
        } else if x < 0.067 {
            (r.lb, r.status) = ("504".into(), "-".into());
            r.times = [0.001, 60.0, -1.0];
        } else if x < 0.068 {
            (r.lb, r.status, r.target) = ("503".into(), "-".into(), "-".into());
            r.times = [-1.0; 3];
        } else if x < 0.069 {
            (r.lb, r.status) = ("460".into(), "-".into());
            r.times[2] = -1.0;
        } else if x < 0.07 {
            (r.lb, r.status) = ("500".into(), "500".into());
        } else if x < 0.072 {
            (r.lb, r.status, r.target, r.actions) = ("403".into(), "-".into(), "-".into(), "waf".into());
            r.times = [-1.0; 3];
        }
        let mut line = r.text(29 + d.below(6) as usize).into_bytes();
        // What befalls rows.
        match d.below(400) {
            0 => line.truncate(d.below(line.len() as u64) as usize),
            1 => line = b"rubbish without any form".to_vec(),
            2 => line.clear(),
            3 => {
                let at = line.len() - 40;
                line[at] = 0xff;
            }
            4 => {
                // The clock of a node jumps.
                r.at_us -= 1_800_000_000;
                line = r.text(34).into_bytes();
            }
            5 => line.push(b'\r'),
            6 => line.extend_from_slice(b" \"-\" new-field \"and one\""),
            7 => line = r.text(34).replace("https 2026", "https 2o26").into_bytes(),
            _ => {}
        }
        line.push(b'\n');
        out.push(line);
    }
    out
}
